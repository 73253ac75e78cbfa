/** One side of the comparison: something that delivers spans and waits for the answer. */
interface Sender extends AutoCloseable {
  /**
   * Makes ready so many spans; {@code payload} is the v0.4 body with as many, for those who take
   * bodies.
   */
  void prepare(byte[] payload, int traces, int spans);

  /** Delivers what was made ready. Throws if it was refused. */
  void send() throws Exception;

  @Override
  void close() throws Exception;
}
