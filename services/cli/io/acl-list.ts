/** An ACL, in the words of kafka-acls.sh. */
export interface ListedAcl {
  readonly principal: string;
  readonly host: string;
  readonly operation: string;
  readonly permission: string;
  /** Such as `topic` and `transactional-id`. */
  readonly resource: string;
  readonly name: string;
  readonly pattern: string;
}

const RESOURCE =
  /^Current ACLs for resource `ResourcePattern\(resourceType=(\w+), name=(.*), patternType=(\w+)\)`:\s*$/;
const ENTRY = /^\s*\(principal=(.*), host=(\S+), operation=(\w+), permissionType=(\w+)\)\s*$/;

/** What `kafka-acls.sh --list` prints. @throws naming the first line that is something else */
export function readAclList(text: string): ListedAcl[] {
  const acls: ListedAcl[] = [];
  let resource: Pick<ListedAcl, 'resource' | 'name' | 'pattern'> | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [, type, name = '', pattern = ''] = RESOURCE.exec(line) ?? [];
    const [, principal, host = '', operation = '', permission = ''] = ENTRY.exec(line) ?? [];
    if (type !== undefined) resource = { resource: hyphened(type), name, pattern: pattern.toLowerCase() };
    else if (principal !== undefined && resource !== undefined)
      acls.push({ ...resource, principal, host, operation: pascal(operation), permission: pascal(permission) });
    else throw new Error(`line ${index + 1} is not of kafka-acls.sh --list: ${JSON.stringify(line.slice(0, 80))}`);
  }
  return acls;
}

/** TRANSACTIONAL_ID is --transactional-id. */
const hyphened = (word: string) => word.toLowerCase().replaceAll('_', '-');

/** DESCRIBE_CONFIGS is DescribeConfigs. */
const pascal = (word: string) =>
  word
    .toLowerCase()
    .split('_')
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join('');
