/**
 * Ends at once, and takes its time for that: the bridge's library is there when the end has begun.
 */
public final class SlowEnd {
  private SlowEnd() {}

  public static void main(String[] arguments) {
    Runtime.getRuntime().addShutdownHook(new Thread(SlowEnd::linger, "linger"));
    System.exit(0);
  }

  private static void linger() {
    try {
      Thread.sleep(3000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
