/** Messages for the developer of a guest or of the emulator, by component. Where they go is the host's choice. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogSink {
  log(level: LogLevel, component: string, message: string): void;
}

export class Logger {
  readonly #sink: LogSink;
  readonly #component: string;

  constructor(sink: LogSink, component: string) {
    this.#sink = sink;
    this.#component = component;
  }

  debug(message: string): void {
    this.#sink.log('debug', this.#component, message);
  }

  info(message: string): void {
    this.#sink.log('info', this.#component, message);
  }

  warn(message: string): void {
    this.#sink.log('warn', this.#component, message);
  }

  error(message: string): void {
    this.#sink.log('error', this.#component, message);
  }
}
