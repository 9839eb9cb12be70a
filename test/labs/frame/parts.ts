/**
 * The parts that names stand for, in the order of `all`: a part of just that name, or else all that begin so. All parts
 * without a name.
 * @throws if a name stands for none
 */
export function chosenParts(all: readonly string[], names: readonly string[]): string[] {
  if (names.length === 0) return [...all];
  const chosen = new Set(
    names.flatMap((name) => {
      const hits = all.includes(name) ? [name] : all.filter((part) => name !== '' && part.startsWith(name));
      if (hits.length === 0) throw new Error(`there is no part ${name}: --list names them`);
      return hits;
    }),
  );
  return all.filter((part) => chosen.has(part));
}
