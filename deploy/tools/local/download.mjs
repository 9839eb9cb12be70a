// Fetches what the stack runs: into a temporary folder beside its place, renamed when it is whole, so that an
// interrupted download is never taken for a finished one.
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../make-folder.mjs';
import { StackError } from './errors.mjs';
import { withLock } from './lock.mjs';
import { APICURIO_VERSION, defaultDownloads, JAEGER_VERSION, KAFKA_VERSION, LOG4J_VERSION } from './paths.mjs';
import { checkGo, go, maven, run } from './tools.mjs';

/** @typedef {import('./stack.mjs').Progress} Progress */

const FOLDERS = {
  kafka: `kafka-${KAFKA_VERSION}`,
  registry: `apicurio-registry-${APICURIO_VERSION}`,
  jaeger: `jaeger-${JAEGER_VERSION}`,
};

/** @param {string} downloads @param {keyof typeof FOLDERS} name @returns {boolean} */
export const isFetched = (downloads, name) => existsSync(path.join(downloads, FOLDERS[name]));

/**
 * @param {string} downloads
 * @param {string} name of the finished folder
 * @param {string} what one line for the person who waits
 * @param {(folder: string) => Promise<void>} fill
 * @param {Progress} progress
 * @returns {Promise<string>} the finished folder
 */
async function once(downloads, name, what, fill, progress) {
  const place = path.join(downloads, name);
  if (existsSync(place)) return place;
  return withLock(
    place,
    async () => {
      if (existsSync(place)) return place; // another process made it while this one waited
      makeFolder(downloads);
      const unfinished = `.unfinished-${name}-`;
      for (const left of await readdir(downloads)) {
        if (left.startsWith(unfinished)) await rm(path.join(downloads, left), { recursive: true });
      }
      const folder = path.join(downloads, `${unfinished}${process.pid}`);
      await mkdir(folder);
      const started = performance.now();
      progress(what);
      try {
        await fill(folder);
        await rename(folder, place);
      } catch (error) {
        await rm(folder, { recursive: true, force: true });
        throw error;
      }
      progress(`fetched (${((performance.now() - started) / 1000).toFixed(1)} s)`);
      return place;
    },
    () => progress('another process is fetching it: waiting'),
  );
}

const KAFKA_POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ssom</groupId>
  <artifactId>local-kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${KAFKA_VERSION}</version>
      <exclusions>
${['connect-runtime', 'connect-api', 'connect-json', 'connect-transforms']
  .map(
    (artifact) =>
      `        <exclusion><groupId>org.apache.kafka</groupId><artifactId>${artifact}</artifactId></exclusion>`,
  )
  .join('\n')}
      </exclusions>
    </dependency>
${['log4j-slf4j-impl', 'log4j-core']
  .map(
    (artifact) =>
      `    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>${artifact}</artifactId>` +
      `<version>${LOG4J_VERSION}</version></dependency>`,
  )
  .join('\n')}
  </dependencies>
</project>
`;

// -C: a jar whose checksum does not match is refused, not just reported.
const MAVEN_FLAGS = ['-B', '-ntp', '-q', '-C'];

/**
 * @param {{ downloads?: string | undefined, progress?: Progress | undefined }} [options]
 * @returns {Promise<string>} the folder of Kafka's jars (53 files, 45 MB)
 */
export async function fetchKafka({ downloads = defaultDownloads, progress = () => {} } = {}) {
  const folder = await once(
    downloads,
    FOLDERS.kafka,
    `fetching Kafka ${KAFKA_VERSION} with Maven (45 MB)`,
    async (target) => {
      const mvn = maven();
      await writeFile(path.join(target, 'pom.xml'), KAFKA_POM);
      const copy = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs'];
      await run(mvn, [...MAVEN_FLAGS, ...copy], { cwd: target });
    },
    progress,
  );
  return path.join(folder, 'libs');
}

/**
 * @param {{ downloads?: string | undefined, progress?: Progress | undefined }} [options]
 * @returns {Promise<string>} the registry's runnable jar
 */
export async function fetchRegistry({ downloads = defaultDownloads, progress = () => {} } = {}) {
  const folder = await once(
    downloads,
    FOLDERS.registry,
    `fetching Apicurio Registry ${APICURIO_VERSION} with Maven (109 MB)`,
    async (target) => {
      const mvn = maven();
      const artifact = `io.apicurio:apicurio-registry-app:${APICURIO_VERSION}:tar.gz:all`;
      const copy = ['dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${target}`];
      await run(mvn, [...MAVEN_FLAGS, ...copy], { cwd: target });
      const archive = path.join(target, `apicurio-registry-app-${APICURIO_VERSION}-all.tar.gz`);
      await run('tar', ['-xzf', archive, '-C', target]);
      await rm(archive);
    },
    progress,
  );
  const name = `apicurio-registry-app-${APICURIO_VERSION}-runner.jar`;
  const jar = (await readdir(folder, { recursive: true })).find((file) => path.basename(file) === name);
  if (jar === undefined) {
    throw new StackError(`${folder} holds no ${name}: remove that folder, and it is fetched again`);
  }
  return path.join(folder, jar);
}

/**
 * Builds Jaeger. `go install` refuses a module with replace directives, so a small module of our own borrows Jaeger's
 * go.mod and go.sum whole: the dependencies are exactly those that Jaeger was released with. No `go mod tidy`: it
 * would want the test dependencies of all of them.
 * @param {{ downloads?: string | undefined, progress?: Progress | undefined }} [options]
 * @returns {Promise<string>} the binary (85 MB)
 */
export async function fetchJaeger({ downloads = defaultDownloads, progress = () => {} } = {}) {
  const folder = await once(
    downloads,
    FOLDERS.jaeger,
    `building Jaeger ${JAEGER_VERSION} with Go (about 4 minutes on 2 cores the first time)`,
    async (target) => {
      const command = go();
      const module = 'github.com/jaegertracing/jaeger';
      const told = await run(command, ['mod', 'download', '-json', `${module}@v${JAEGER_VERSION}`], { cwd: target });
      /** @type {{ Dir: string, GoMod: string }} */
      const { Dir, GoMod } = JSON.parse(told);
      const demanded = /^go (\S+)$/m.exec(await readFile(GoMod, 'utf8'))?.[1];
      if (demanded !== undefined) checkGo(command, demanded);
      const build = path.join(target, 'build');
      await mkdir(build);
      await copyFile(GoMod, path.join(build, 'go.mod'));
      await copyFile(path.join(Dir, 'go.sum'), path.join(build, 'go.sum'));
      for (const file of ['go.mod', 'go.sum']) await chmod(path.join(build, file), 0o644); // Go's cache is read-only
      const options = { cwd: build };
      const edit = ['mod', 'edit', '-module=ssom/local-jaeger', `-require=${module}@v${JAEGER_VERSION}`];
      await run(command, [...edit, `-tool=${module}/cmd/jaeger`], options);
      await run(command, ['mod', 'download', module], options); // adds Jaeger itself to go.sum
      const output = path.join(target, 'jaeger');
      await run(command, ['build', '-ldflags', '-s -w', '-o', output, `${module}/cmd/jaeger`], options);
      await rm(build, { recursive: true });
    },
    progress,
  );
  return path.join(folder, 'jaeger');
}
