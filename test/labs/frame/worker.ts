// A laboratory's own processes: each serves commands that the runner sends over the channel of `fork`.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a worker's module serves; its type is what `Worker.call` checks against. */
export type Commands = Record<string, (argument: never) => unknown>;

interface Question {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** In the worker: answers until the runner goes away. */
export function serve(commands: Commands): void {
  const answer = async ({ id, command, argument }: Question): Promise<Answer> => {
    try {
      return { id, result: await commands[command]!(argument as never) };
    } catch (error) {
      return { id, error: (error as Error).stack ?? String(error) };
    }
  };
  process.on('message', (question: Question) => {
    void answer(question).then((reply) => process.send?.(reply));
  });
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C reaches the whole group; the runner decides when we end.
  process.on('SIGINT', () => undefined);
}

/** In the runner: a process that serves `C`. */
export class Worker<C extends Commands> {
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #asked = 0;
  #ended: Error | undefined;

  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
  ) {
    child.on('message', ({ id, result, error }: Answer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result as never);
      else waiting?.reject(new Error(`${name}: ${error}`));
    });
    child.on('exit', (code, signal) => {
      this.#ended = new Error(`the process ${name} has ended (${signal ?? code})`);
      for (const { reject } of this.#waiting.values()) reject(this.#ended);
      this.#waiting.clear();
    });
  }

  /** @param module the worker's file below test/labs, without its extension */
  static start<C extends Commands>(module: string, name = module): Worker<C> {
    const file = fileURLToPath(new URL(`../${module}.js`, import.meta.url));
    return new Worker<C>(name, fork(file, { env: { ...process.env, UV_THREADPOOL_SIZE: '16' } }));
  }

  get pid(): number {
    return this.child.pid!;
  }

  call<K extends keyof C & string>(command: K, argument: Parameters<C[K]>[0]): Promise<Awaited<ReturnType<C[K]>>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.child.send({ id, command, argument } satisfies Question);
    });
  }

  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exit = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exit;
  }
}
