/**
 * The partition that a key's records go to, as librdkafka's murmur2_random and Java's default partitioner place them.
 * Source: A. Appleby, MurmurHash2, as in Kafka's Utils.murmur2.
 */
export function partitionOfKey(key: string | Buffer, partitions: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
}

const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** A signed number of 32 bits. */
export function murmur2(bytes: Buffer): number {
  let hash = SEED ^ bytes.length;
  const words = bytes.length - (bytes.length % 4);
  for (let at = 0; at < words; at += 4) {
    const word = Math.imul(bytes.readInt32LE(at), M);
    hash = Math.imul(hash, M) ^ Math.imul(word ^ (word >>> 24), M);
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= words; at -= 1) tail = (tail << 8) | bytes[at]!;
  if (words < bytes.length) hash = Math.imul(hash ^ tail, M);
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return hash ^ (hash >>> 15);
}
