import java.util.Arrays;
import java.util.Locale;

/** One line of JSON a row, for build/bench/results.json. */
final class Rows {
  private Rows() {}

  static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** {@code opponent} is null where there is none. */
  static void print(
      String name, String payload, String unit, double ours, String opponent, double theirs) {
    print(name, payload, unit, ours, opponent, theirs, theirs / ours);
  }

  static void print(
      String name,
      String payload,
      String unit,
      double ours,
      String opponent,
      double theirs,
      double ratio) {
    String against =
        opponent == null
            ? "\"opponent_name\":null,\"opponent\":null,\"ratio\":null"
            : String.format(
                Locale.ROOT,
                "\"opponent_name\":\"%s\",\"opponent\":%.2f,\"ratio\":%.3f",
                opponent,
                theirs,
                ratio);
    System.out.printf(
        Locale.ROOT,
        "{\"name\":\"%s\",\"payload\":\"%s\",\"unit\":\"%s\",\"ours\":%.2f,%s,\"allocations\":null}%n",
        name,
        payload,
        unit,
        ours,
        against);
  }
}
