// A rule for ESLint: what is put into a text of SQL is constant, a number, or one of the words that its type allows; so
// whatever comes from outside travels as a parameter.
import ts from 'typescript';

const KEYWORDS =
  'SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|VALUES|WHERE|FROM|CREATE|ALTER|DROP|TRUNCATE|COPY|GRANT|SET|LISTEN|NOTIFY|PREPARE';
/** In capitals, as all SQL is written here. */
const SQL = new RegExp(`(^|[\\s(])(${KEYWORDS})\\s`);

const HARMLESS = ts.TypeFlags.NumberLike | ts.TypeFlags.StringLiteral;

/** @typedef {import('eslint').Scope.Scope} Scope */
/** @typedef {import('eslint').Scope.Variable} Variable */
/** @typedef {any} Node of ESTree or TypeScript's */

/** @param {Node} node @returns {boolean} whether it is within no function but callbacks of what runs at loading */
function runsAtLoading(node) {
  for (let at = node; at !== null; at = at.parent)
    if (/Function/.test(at.type) && at.parent.type !== 'CallExpression') return false;
  return true;
}

/** What is constant: it is the same whatever is asked of the service. */
class Constants {
  /** @type {Set<Node>} those that are being looked at: a cycle adds nothing */
  #looking = new Set();

  /** @param {import('eslint').SourceCode} source */
  constructor(source) {
    this.source = source;
  }

  /** @param {Node} node @returns {boolean} */
  has(node) {
    if (runsAtLoading(node) || this.#looking.has(node) || this.#isNumberOrWord(node)) return true;
    this.#looking.add(node);
    try {
      return this.#isConstant(node);
    } finally {
      this.#looking.delete(node);
    }
  }

  /** @param {Node} node @returns {boolean} */
  #isConstant(node) {
    switch (node.type) {
      case 'Literal':
        return true;
      case 'TemplateLiteral':
        return node.expressions.every((/** @type {Node} */ each) => this.has(each));
      case 'ConditionalExpression':
        return this.has(node.consequent) && this.has(node.alternate);
      case 'BinaryExpression':
        return this.has(node.left) && this.has(node.right);
      case 'MemberExpression':
        // Whichever of a constant's parts is chosen is one of them.
        return this.has(node.object);
      case 'CallExpression':
        return this.has(node.callee) && node.arguments.every((/** @type {Node} */ each) => this.has(each));
      case 'TSNonNullExpression':
      case 'TSAsExpression':
        return this.has(node.expression);
      case 'Identifier':
        return this.#isConstantName(node);
      default:
        return false;
    }
  }

  /** @param {Node} node */
  #isNumberOrWord(node) {
    const type = this.source.parserServices.getTypeAtLocation?.(node);
    const kinds = type?.isUnion() === true ? type.types : [type];
    return kinds.every((/** @type {ts.Type | undefined} */ kind) => ((kind?.flags ?? 0) & HARMLESS) !== 0);
  }

  /** @param {Node} node */
  #isConstantName(node) {
    const variable = this.#find(node);
    const [definition] = variable?.defs ?? [];
    if (variable === undefined || definition === undefined) return false;
    if (definition.type === 'ImportBinding' || definition.type === 'FunctionName') return true;
    if (definition.type === 'Parameter') return this.#areGivenConstants(variable, definition.node);
    if (definition.type !== 'Variable' || definition.parent?.kind !== 'const') return false;
    return (
      /Function/.test(definition.node.init?.type) || (definition.node.init !== null && this.has(definition.node.init))
    );
  }

  /** Whether every call of the function that is seen gives a constant for its parameter; nobody else may call it. */
  #areGivenConstants(/** @type {Variable} */ parameter, /** @type {Node} */ func) {
    const index = func.params.findIndex((/** @type {Node} */ each) =>
      parameter.identifiers.includes(each.left ?? each),
    );
    const name = func.id ?? (func.parent.type === 'VariableDeclarator' ? func.parent.id : undefined);
    const variable = name === undefined || index < 0 ? undefined : this.#find(name);
    if (variable === undefined || isExported(variable)) return false;
    return variable.references
      .filter(({ identifier }) => identifier !== name)
      .every(({ identifier }) => {
        const { parent } = /** @type {Node} */ (identifier);
        if (parent.type !== 'CallExpression' || parent.callee !== identifier) return false;
        return parent.arguments[index] === undefined || this.has(parent.arguments[index]);
      });
  }

  /** @param {Node} identifier @returns {Variable | undefined} */
  #find(identifier) {
    /** @type {Scope | null} */
    let scope = this.source.getScope(identifier);
    for (; scope !== null; scope = scope.upper) {
      const found = scope.set.get(identifier.name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** @param {Variable} variable */
function isExported(variable) {
  const [definition] = variable.defs;
  const declaration = definition?.type === 'FunctionName' ? definition.node : definition?.parent;
  return /^Export/.test(/** @type {Node} */ (declaration)?.parent?.type ?? '');
}

/** @type {import('eslint').Rule.RuleModule} */
export const sqlConstants = {
  meta: {
    type: 'problem',
    schema: [],
    messages: { parameter: 'Give it to SQL as a parameter ($1): only what is constant may stand in its text.' },
  },
  create(context) {
    const constants = new Constants(context.sourceCode);
    const look = (/** @type {Node} */ node) => {
      if (!constants.has(node)) context.report({ node, messageId: 'parameter' });
    };
    const isSql = (/** @type {Node} */ node) =>
      (node.type === 'Literal' && typeof node.value === 'string' && SQL.test(node.value)) ||
      (node.type === 'TemplateLiteral' && node.quasis.some((/** @type {Node} */ { value }) => SQL.test(value.raw)));
    return {
      TemplateLiteral: (/** @type {Node} */ node) => {
        if (isSql(node)) node.expressions.forEach(look);
      },
      'BinaryExpression[operator="+"]': (/** @type {Node} */ node) => {
        if (isSql(node.left)) look(node.right);
        if (isSql(node.right)) look(node.left);
      },
    };
  },
};
