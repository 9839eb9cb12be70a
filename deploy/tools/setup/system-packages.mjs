// What compiling the Kafka client needs from the system.
import { existsSync } from 'node:fs';
import { childEnv, failureText, run, SetupError, step } from './common.mjs';

/** Named after Debian's packages, each with how to see that it is there. */
const PROGRAMS = [
  { debian: 'make', command: 'make', args: ['--version'] },
  { debian: 'python3', command: 'python3', args: ['--version'] },
  { debian: 'bash', command: 'bash', args: ['--version'] }, // librdkafka's configure
];
const COMPILER = { debian: 'g++', command: process.env['CXX'] ?? 'c++' };
const HEADERS = [
  { debian: 'libssl-dev', header: 'openssl/ssl.h' },
  { debian: 'zlib1g-dev', header: 'zlib.h' },
  { debian: 'libzstd-dev', header: 'zstd.h' },
  { debian: 'libcurl4-openssl-dev', header: 'curl/curl.h' },
  { debian: 'libsasl2-dev', header: 'sasl/sasl.h' },
];

const FEDORA = 'gcc-c++ make python3 bash openssl-devel zlib-devel libzstd-devel libcurl-devel cyrus-sasl-devel';
const ALPINE = 'g++ make python3 bash openssl-dev zlib-dev zstd-dev curl-dev cyrus-sasl-dev';
const MACOS = 'openssl@3 zstd cyrus-sasl python3';

/** @returns {Promise<string[]>} Debian's names of what is missing */
async function missingPackages() {
  const missing = [];
  for (const { debian, command, args } of PROGRAMS) {
    if (!(await run(command, args)).ok) missing.push(debian);
  }
  // The compiler itself tells which headers it can see, whatever the distribution calls their packages.
  const source = HEADERS.map(
    ({ debian, header }) => `#if !__has_include(<${header}>)\nMISSING ${debian}\n#endif\n`,
  ).join('');
  const { ok, output } = await run(COMPILER.command, ['-E', '-P', '-x', 'c++', '-'], { input: source });
  if (!ok) return [...missing, COMPILER.debian, ...HEADERS.map(({ debian }) => debian)];
  // Homebrew keeps its headers where only pkg-config looks: there a failed compilation tells.
  if (process.platform === 'darwin') return missing;
  return [...missing, ...[...output.matchAll(/^MISSING (\S+)$/gm)].map((match) => match[1] ?? '')];
}

/**
 * Makes sure that the client can be compiled: installs what is missing as root on Debian and its like, and elsewhere
 * fails with the command to type.
 *
 * @returns {Promise<void>}
 */
export async function installSystemPackages() {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  const debian = existsSync('/etc/debian_version');
  if (!debian || process.getuid?.() !== 0) {
    throw new SetupError(
      `the Kafka client has no prebuilt binary here and must be compiled, which needs\n` +
        `  ${missing.join(' ')}\nPlease run\n${commands(missing)}\nand then the same npm command again.`,
    );
  }
  await step(`system packages: ${missing.join(' ')}`, async (result) => {
    const env = childEnv({ DEBIAN_FRONTEND: 'noninteractive' });
    // Another apt may be at work on a machine that has just started.
    const options = ['-q', '-o', 'DPkg::Lock::Timeout=120'];
    const update = await run('apt-get', [...options, 'update'], { env });
    const install = await run('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...missing], { env });
    if (!install.ok) {
      const output = `${update.output}\n${install.output}`;
      throw new SetupError(`apt-get cannot install them:\n${failureText('apt', output)}`);
    }
    result('installed');
  });
}

/** @param {string[]} missing @returns {string} */
function commands(missing) {
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  const apt = `  ${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  const dnf = `  ${sudo}dnf install -y ${FEDORA}`;
  const apk = `  ${sudo}apk add ${ALPINE}`;
  const brew = `  xcode-select --install; brew install ${MACOS}`;
  if (process.platform === 'darwin') return brew;
  if (existsSync('/etc/debian_version')) return apt;
  if (existsSync('/etc/alpine-release')) return apk;
  if (existsSync('/etc/fedora-release') || existsSync('/etc/redhat-release')) return dnf;
  return `  Debian, Ubuntu: ${apt.trim()}\n  Fedora:         ${dnf.trim()}\n  Alpine:         ${apk.trim()}`;
}
