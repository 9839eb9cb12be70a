// Where the stack keeps its things, and which versions it runs. Everything lies below one folder that git ignores.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const checkout = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

/** Data, logs and pid files of the stack that `deploy/tools/local/stack` runs; tests give their own folder instead. */
export const defaultDir = path.join(checkout, '.local');

/**
 * Jars and binaries. Shared by every stack of this checkout, and never removed by `--clean`. CI keeps them across
 * checkouts by naming a cache.
 */
export const defaultDownloads = process.env['SSOM_CACHE_DIR']
  ? path.join(process.env['SSOM_CACHE_DIR'], 'stack')
  : path.join(checkout, '.local', 'downloads');

/** 4.4.0 is listed on Maven Central but its kafka-tools artifact is missing. */
export const KAFKA_VERSION = '4.3.1';
/** Kafka 4.3 is on slf4j 1.7, so the binding is log4j-slf4j-impl, not log4j-slf4j2-impl. */
export const LOG4J_VERSION = '2.25.3';
export const APICURIO_VERSION = '3.0.9';
/** This Go module holds Jaeger v2 (cmd/jaeger). */
export const JAEGER_VERSION = '1.76.0';

/**
 * @param {string} dir a stack's folder
 * @param {string} name a component, such as `kafka`
 */
export function pathsOf(dir, name) {
  const root = path.resolve(dir);
  return {
    data: path.join(root, 'data', name),
    log: path.join(root, 'logs', `${name}.log`),
    run: path.join(root, 'run', `${name}.json`),
  };
}
