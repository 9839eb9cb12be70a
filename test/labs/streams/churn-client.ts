import { Random } from '../../support/random.js';
import { serve } from '../frame/worker.js';
import { churn, type ChurnOptions } from './churn.js';

const commands = {
  churn: ({ seed, ...options }: ChurnOptions & { seed: number }) => churn(options, new Random(seed)),
};
export type ChurnCommands = typeof commands;

serve(commands);
