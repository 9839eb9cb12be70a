import type { Command } from 'commander';
import { ALERT_KINDS, ALERT_LEVELS } from '../../domain/alert.js';
import {
  type AddCommands,
  type CallerFlags,
  callerFlags,
  callerIdentity,
  collect,
  examples,
  filterFlags,
  parseKind,
  parseLevel,
  parseWhole,
  userFlags,
  withClient,
} from '../command.js';
import { type Context, OK, print } from '../context.js';
import { rolesFlag } from '../io/roles.js';
import { alertJson, alertLines, progressJson } from '../views/format.js';
import { jsonText, painter } from '../views/text.js';
import { createAlerts, type CreateFlags } from './alerts-create.js';
import { JAEGER_DEFAULT, traceAlert, type TraceFlags } from './alerts-trace.js';
import { watchAlerts, type WatchFlags } from './alerts-watch.js';

export const addAlerts: AddCommands = (program, context, done) => {
  const alerts = program
    .command('alerts')
    .summary('create, watch and look at alerts')
    .description('Create alerts, look at them, watch them arrive.');

  createFlags(callerFlags(alerts.command('create')))
    .summary('create one alert, or many from a file')
    .description(
      'Creates one alert from its flags and prints its number, or with --file one alert for each line of JSON. A line ' +
        'that is refused is named with its number and the reason, the others are sent; then the exit code is 1. What was ' +
        'shortened or set right is said, and who does not get it.',
    )
    .addHelpText(
      'after',
      examples(
        "ssom-alert alerts create --kind JENKINS --level ERROR --app ssok-bank-api --title '#1842 FAILED'",
        "ssom-alert alerts create --kind OTHER --level INFO --app ssom --title 'hello' --to-user op01 --label env=dev",
        'ssom-alert alerts create --file deploy/sample/alerts.jsonl',
        'tail -f alerts.jsonl | ssom-alert alerts create --file - --caller my-service',
      ) +
        '\nA line has the fields of CreateAlertRequest in JSON:\n' +
        '  {"kind": "GRAFANA", "level": "ERROR", "appName": "ssok-bank-api", "title": "5xx above 5 %",\n' +
        '   "recipients": {"departments": ["OPERATION"]}}\n',
    )
    .action(async (flags: CreateFlags) => done(await createAlerts(context, flags)));

  filterFlags(userFlags(alerts.command('watch')))
    .summary("show a user's alerts as they arrive")
    .description(
      'One line for each change of the inbox: time, level, kind, app, title. It connects again by itself and misses ' +
        'nothing; Ctrl-C ends it and prints a token to go on from.',
    )
    .option('--from <where>', 'start (the whole inbox), now, or a token that an earlier watch printed', 'now')
    .option('--json', 'one JSON object a line, for programs; the token stands in the last of those that came together')
    .option(
      '--stream-address <host:port>',
      'the stream-gateway, where it is apart (env SSOM_STREAM_ADDRESS; default: --address)',
    )
    .addHelpText(
      'after',
      examples(
        'ssom-alert alerts watch --user op01',
        'ssom-alert alerts watch --user op01 --from start --unread-only --min-level ERROR',
        'ssom-alert alerts watch --user op01 --json | jq .alert.title',
      ),
    )
    .action(async (flags: WatchFlags) => done(await watchAlerts(context, flags)));

  callerFlags(alerts.command('get'))
    .summary('show one alert and how far it has come')
    .description('One alert, and to how many of its recipients it has come.')
    .argument('<id>', "the alert's number", parseWhole)
    .option('--json', 'as JSON')
    .addHelpText('after', examples('ssom-alert alerts get 17', 'ssom-alert alerts get 17 --json | jq .progress'))
    .action(async (id: number, flags: CallerFlags & { json?: boolean }) => done(await getAlert(context, id, flags)));

  rolesFlag(callerFlags(alerts.command('trace')))
    .summary('where is it? every step of an alert, what is missing, for whom and why')
    .description(
      'When an alert was created, published, fanned out, came into inboxes, was pushed and read; what is missing, for whom, and ' +
        "why, as the alert's record and the running roles tell; and where its trace is. One that took its time shows where.",
    )
    .argument('<id>', "the alert's number", parseWhole)
    .option('--jaeger <url>', `Jaeger's page (env SSOM_JAEGER_URL; default ${JAEGER_DEFAULT})`)
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      examples(
        'ssom-alert alerts trace 4711',
        "ssom-alert alerts trace 4711 --json | jq '.reasons'",
        'ssom-alert alerts trace 4711 --roles alert-api:9464,fanout:9465,delivery-0:9466,delivery-1:9466',
      ),
    )
    .action(async (id: number, flags: TraceFlags) => done(await traceAlert(context, id, flags)));
};

function createFlags(command: Command): Command {
  return command
    .option('--file <file>', 'JSON lines, one alert each; - reads standard input')
    .option('--kind <kind>', ALERT_KINDS.join(', '), parseKind)
    .option('--level <level>', ALERT_LEVELS.join(', '), parseLevel)
    .option('--app <name>', 'the application that it is about')
    .option('--title <text>', 'one line')
    .option('--message <text>', 'the whole text')
    .option('--source-id <id>', "the source's own id of the event")
    .option('--label <key=value>', 'may be repeated', collect)
    .option('--occurred-at <time>', 'when it happened, such as 2026-01-31T09:30:00+09:00 (default: now)')
    .option('--to-user <id>', 'a recipient; may be repeated. Without any recipient the routing rules decide', collect)
    .option('--to-department <name>', 'all active users of a department; may be repeated', collect)
    .option('--to-login <login>', 'a GitHub login; may be repeated', collect)
    .option('--request-id <id>', 'makes it harmless to do this again (default: a new one)')
    .option('--json', 'what became of each as JSON, one object a line, for programs');
}

async function getAlert(context: Context, alertId: number, flags: CallerFlags & { json?: boolean }): Promise<number> {
  return withClient(context, flags, callerIdentity(context, flags), async (client, signal) => {
    const { alert, progress } = await client.getAlert({ alertId }, { signal });
    if (flags.json) {
      await print(context, jsonText({ alert: alertJson(alert), progress: progressJson(progress) }, null, 2));
    } else if (alert !== null) {
      for (const line of alertLines(alert, progress, painter(context))) await print(context, line);
    }
    return OK;
  });
}
