/** What is wrong with an expression that somebody typed: one sentence, and where. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  /** Offset into the text of the expression, where one is to blame. */
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super(message);
    this.offset = offset;
  }
}
