import simpleImportSort from 'eslint-plugin-simple-import-sort';
import tseslint from 'typescript-eslint';
import { sqlConstants } from './deploy/tools/lint/sql-constants.mjs';

/*
 * Rules of two kinds. The strict set of typescript-eslint, with its exceptions below; and the homes: each SDK, and
 * process.env, may be used in one place only, so that replacing or upgrading one is a change of one module.
 */

/** What only its home may import. `allow`: the files that are the home. */
const HOMES = [
  { what: '@confluentinc/kafka-javascript', allow: ['services/lib/kafka/**'] },
  { what: 'avsc', allow: ['services/lib/avro.ts', 'services/lib/avro-types.ts'] },
  {
    what: 'knex',
    allow: ['services/lib/postgres.ts', 'services/store/migrate.ts', 'services/store/migrations/**'],
  },
  {
    what: 'pg',
    allow: ['services/lib/postgres.ts', 'services/lib/postgres-*.ts', 'services/launch/embedded/postgres.ts'],
  },
  { what: '@opentelemetry/*', allow: ['services/lib/telemetry/**'] },
  { what: 'jose', allow: ['services/lib/auth/**'] },
  { what: 'firebase-admin/*', allow: ['services/push/fcm.ts'] },
  { what: 'pino', allow: ['services/lib/logging.ts'] },
];

/** The only files that read process.env; everything else gets its configuration as data. */
const READS_ENVIRONMENT = ['services/launch/main.ts', 'services/cli/ssom-alert.ts'];

/** A reader must find where what is exported comes from. */
const NAMED_EXPORTS = {
  selector: 'ExportAllDeclaration',
  message: 'Name what is exported: a reader must find where it comes from.',
};

/**
 * The clock of the day steps when it is set right; a wait or a duration that is measured by it lasts as much longer, or
 * is over.
 */
const WALL_CLOCK = [
  'MemberExpression[object.name="Date"][property.name="now"]',
  'NewExpression[callee.name="Date"][arguments.length=0]',
  'CallExpression[callee.name="Date"]',
].map((selector) => ({
  selector,
  message:
    'Durations and waits are by performance.now(); a time that is shown or stored by wallClock() of lib/wall-clock.ts.',
}));

/**
 * no-restricted-imports takes all of a file's patterns at once, so each home's files get the list without their own.
 */
function restrictImports(homes) {
  const patterns = homes.map(({ what, allow }) => ({
    group: [what],
    message: `Its home is ${allow.join(', ')}: use what that module exports.`,
  }));
  // The way round no-restricted-properties below.
  const message = 'Configuration is read in one place: take a Config or an Environment.';
  const paths = ['process', 'node:process'].map((name) => ({ name, importNames: ['default', 'env'], message }));
  return { 'no-restricted-imports': ['error', { paths, patterns }] };
}

export default tseslint.config(
  {
    ignores: ['.build*/', '.local/', '.data/', '**/node_modules/', 'services/gen/', '**/*.d.mts'],
  },
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
  },
  {
    files: ['**/*.ts', '**/*.mjs', '**/*.js'],
    plugins: { imports: simpleImportSort },
    rules: {
      // Packages, then our own from the farthest folder to the nearest, by path.
      'imports/imports': ['error', { groups: [['^node:', '^@?\\w', '^#', '^\\.']] }],
      // Prettier leaves a comment as wide as it was written.
      'max-len': [
        'error',
        { code: 1000, comments: 120, ignoreUrls: true, ignorePattern: 'eslint-disable|@param \\{|^ \\* \\|' },
      ],
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      // Numbers read well in a text, and a bigint or boolean does too; objects, null and undefined do not.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `record!` after a check that the types cannot follow (an index below length) is what noUncheckedIndexedAccess
      // costs.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // `() => void something()` says that nothing is returned as well as a block does.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // node:test's own functions return promises that its runner awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', name: ['test', 'it', 'describe', 'suite'], package: 'node:test' },
          ],
        },
      ],
      // It does not see that a field or a signal may change while a promise is awaited, and calls the second look
      // needless.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // `.catch((error: Error) => …)` claims no more than `catch (error) { … error as Error }`: nothing here throws
      // non-errors.
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'off',
      // An implementation of an interface whose method returns a promise need not await.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      // A reader meets a class's state before what is done with it.
      '@typescript-eslint/member-ordering': [
        'error',
        { default: 'never', classes: ['static-field', 'instance-field', 'constructor'] },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
      'no-restricted-syntax': ['error', NAMED_EXPORTS],
    },
  },
  {
    files: ['services/**/*.ts'],
    rules: { ...restrictImports(HOMES), 'no-restricted-syntax': ['error', NAMED_EXPORTS, ...WALL_CLOCK] },
  },
  {
    files: ['services/**/*.ts'],
    // They take nothing from outside, and PostgreSQL no parameters for what they do.
    ignores: ['services/store/migrations/**'],
    plugins: { sql: { rules: { constants: sqlConstants } } },
    rules: { 'sql/constants': 'error' },
  },
  {
    // librdkafka's errors are Errors; the package's declarations do not say so.
    files: ['services/lib/kafka/**/*.ts'],
    rules: { '@typescript-eslint/prefer-promise-reject-errors': 'off' },
  },
  ...[...new Set(HOMES.flatMap(({ allow }) => allow))].map((files) => ({
    files: [files],
    rules: restrictImports(HOMES.filter(({ allow }) => !allow.includes(files))),
  })),
  {
    files: ['services/**/*.ts'],
    ignores: READS_ENVIRONMENT,
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: `Only ${READS_ENVIRONMENT.join(' and ')} read it: take a Config or an Environment instead.`,
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // Fixtures are objects of closures, and tests take them apart; none of them knows a `this`.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.mjs', '**/*.js', '**/*.cjs'],
    extends: [tseslint.configs.recommended],
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs' },
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
);
