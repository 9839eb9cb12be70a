import { Argument } from 'commander';
import { ROLE_NAMES, STANDALONE } from '../../domain/role-names.js';
import { type AddCommands, examples } from '../command.js';

export const addRun: AddCommands = (program, context, done) => {
  program
    .command('run')
    .summary('run a role of the service')
    .description('Runs one role until it is told to end (SIGINT, SIGTERM). It is configured by environment variables.')
    .addArgument(new Argument('<role>', 'which one').choices([STANDALONE, ...ROLE_NAMES]))
    .addHelpText('after', examples('ssom-alert run standalone', 'PROFILE=dev ssom-alert run alert-api'))
    .action(async (role: string) => {
      // Here and not above: the roles bring Kafka and PostgreSQL along, which the other commands do without.
      const { runRole } = await import('../../launch/run.js');
      done(await runRole(role, context.environment));
    });
};
