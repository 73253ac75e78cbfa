package com.datadog.pipeline;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What can be done with payloads without an exporter and without an agent. Stateless, thread-safe.
 *
 * <p>Every method throws {@link TraceExporterException} with {@code LIBRARY_UNAVAILABLE} if there
 * is no native library, and {@link IllegalArgumentException} for an argument that is null.
 */
public final class Payloads {
  private Payloads() {}

  /**
   * A payload as text: one JSON object a span and line.
   *
   * @param payload msgpack of any format that is read
   * @throws TraceExporterException {@code MALFORMED_PAYLOAD} or {@code TRUNCATED_PAYLOAD} with the
   *     place
   */
  public static String show(byte[] payload) {
    Payload.notNull("payload", payload);
    Library.need();
    return new String(TraceExporter.nativeShow(payload), StandardCharsets.UTF_8);
  }

  /**
   * A payload in another format, or in its own again. What an agent would refuse is repaired or
   * left out, and counted, unless {@link Conversion#onMalformed} says otherwise.
   *
   * @throws IllegalArgumentException for a rule that is none
   * @throws TraceExporterException {@code MALFORMED_PAYLOAD} or {@code TRUNCATED_PAYLOAD} with the
   *     place; {@code INVALID_CONFIGURATION} for a regex that cannot be read
   */
  public static Converted convert(byte[] payload, Conversion conversion) {
    Payload.notNull("payload", payload);
    Payload.notNull("conversion", conversion);
    Library.need();
    byte[] request = String.join("\0", conversion.words()).getBytes(StandardCharsets.UTF_8);
    return new Converted(TraceExporter.nativeConvert(request, payload));
  }

  /** One text as obfuscation would let it leave. */
  public static String obfuscate(String text, Obfuscation how) {
    byte[] bytes = Payload.notNull("text", text).getBytes(StandardCharsets.UTF_8);
    return new String(obfuscate(bytes, how), StandardCharsets.UTF_8);
  }

  /** As {@link #obfuscate(String, Obfuscation)}, for a text that may not be UTF-8. */
  public static byte[] obfuscate(byte[] text, Obfuscation how) {
    Payload.notNull("text", text);
    Payload.notNull("how", how);
    Library.need();
    return TraceExporter.nativeObfuscate(how.request(), text);
  }

  /**
   * What client-side stats make of payloads (msgpack v0.4).
   *
   * @throws TraceExporterException {@code MALFORMED_PAYLOAD} or {@code TRUNCATED_PAYLOAD} with the
   *     place
   */
  public static Stats stats(List<byte[]> payloads, Counting counting) {
    Object[] all = Payload.notNull("payloads", payloads).toArray();
    for (int i = 0; i < all.length; i++) {
      Payload.notNull("payloads[" + i + "]", all[i]);
    }
    Payload.notNull("counting", counting);
    Library.need();
    byte[] json = TraceExporter.nativeStatsOf(all, counting.late, counting.obfuscated);
    return new Stats(new String(json, StandardCharsets.UTF_8));
  }

  /** How {@link #convert} works. Immutable and thread-safe: each method gives a new one. */
  public static final class Conversion {
    private final List<String> words;

    private Conversion(List<String> before, String word) {
      this.words = new ArrayList<>(before);
      words.add(word);
    }

    /**
     * To this format, from whichever the payload has.
     *
     * @throws IllegalArgumentException for {@link OutputFormat#AUTO}: no agent is asked
     */
    public static Conversion to(OutputFormat format) {
      if (Payload.notNull("format", format) == OutputFormat.AUTO) {
        throw new IllegalArgumentException("format is AUTO; a conversion needs V04, V05 or V1");
      }
      return new Conversion(new ArrayList<String>(), "to=" + named(format.name()));
    }

    /** To this format, from whichever the payload has. */
    public static Conversion to(OtherFormat format) {
      String name = Payload.notNull("format", format).name().toLowerCase(Locale.ROOT);
      return new Conversion(new ArrayList<String>(), "to=" + name.replace('_', '-'));
    }

    /** The payload has this format, and is not looked at for it. */
    public Conversion from(InputFormat format) {
      return new Conversion(words, "from=" + named(Payload.notNull("format", format).name()));
    }

    /** What becomes of input that an agent would refuse. Default: {@link OnMalformed#REPAIR}. */
    public Conversion onMalformed(OnMalformed policy) {
      String name = Payload.notNull("policy", policy).name().toLowerCase(Locale.ROOT);
      return new Conversion(words, "on-malformed=" + name);
    }

    /** Marks spans at the top level of their service. */
    public Conversion topLevel() {
      return new Conversion(words, "top-level");
    }

    /** Leaves out what sampling has rejected. */
    public Conversion dropP0() {
      return new Conversion(words, "drop-p0");
    }

    /** Leaves out traces whose root has not this tag, {@code KEY} or {@code KEY:VALUE}. */
    public Conversion requireTag(String rule) {
      return filter("require:", rule);
    }

    /** Leaves out traces whose root has this tag, {@code KEY} or {@code KEY:VALUE}. */
    public Conversion rejectTag(String rule) {
      return filter("reject:", rule);
    }

    /** As {@link #requireTag}; the value is a regex. */
    public Conversion requireTagRegex(String rule) {
      return filter("require~:", rule);
    }

    /** As {@link #rejectTag}; the value is a regex. */
    public Conversion rejectTagRegex(String rule) {
      return filter("reject~:", rule);
    }

    /** Leaves out traces whose root has a resource that this regex finds. */
    public Conversion ignoreResource(String regex) {
      return filter("ignore:", regex);
    }

    /**
     * A filter as the tool takes it: {@code require:KEY[:VALUE]}, {@code reject:KEY[:VALUE]}, the
     * same with {@code require~:} and {@code reject~:} for regexes, and {@code ignore:REGEX}.
     */
    public Conversion filter(String rule) {
      return filter("", rule);
    }

    private Conversion filter(String kind, String rule) {
      if (Payload.notNull("rule", rule).indexOf('\0') >= 0) {
        throw new IllegalArgumentException("rule has a NUL in it");
      }
      return new Conversion(words, "filter=" + kind + rule);
    }

    List<String> words() {
      return words;
    }

    private static String named(String format) {
      return format.equals("V04")
          ? "v0.4"
          : format.equals("V05") ? "v0.5" : format.toLowerCase(Locale.ROOT);
    }

    @Override
    public boolean equals(@Nullable Object o) {
      return o instanceof Conversion && ((Conversion) o).words.equals(words);
    }

    @Override
    public int hashCode() {
      return words.hashCode();
    }

    @Override
    public String toString() {
      return "Conversion" + words;
    }
  }

  /** What kind of text {@link Obfuscation} is for. Immutable and thread-safe. */
  public enum TextKind {
    /** A statement. */
    SQL("sql"),
    /** A query plan, as JSON. */
    SQL_EXEC_PLAN("sql_exec_plan"),
    /** A command with its arguments, of Redis or Valkey. */
    REDIS("redis"),
    /** A resource of Redis or Valkey. */
    REDIS_RESOURCE("redis_resource"),
    /** A command. */
    MEMCACHED("memcached"),
    /** A query as JSON. */
    MONGO("mongo"),
    /** A body as JSON. */
    ELASTICSEARCH("es"),
    /** A body as JSON. */
    OPENSEARCH("opensearch"),
    /** A URL. */
    HTTP("http"),
    /** Any text that may be the number of a credit card. */
    CARD("card"),
    /** An IP address. */
    IP("ip");

    private final String name;

    TextKind(String name) {
      this.name = name;
    }

    /**
     * The kind by the name that the tool uses.
     *
     * @throws IllegalArgumentException if there is none
     */
    public static TextKind named(String name) {
      for (TextKind kind : values()) {
        if (kind.name.equals(name)) {
          return kind;
        }
      }
      throw new IllegalArgumentException("there is no type \"" + name + '"');
    }
  }

  /** How much of SQL is changed. Immutable and thread-safe. */
  public enum SqlMode {
    /** Literals are hidden. */
    OBFUSCATE_ONLY,
    /** Literals are hidden, and comments, spaces and cases made alike. */
    OBFUSCATE_AND_NORMALIZE,
    /** Only the latter. */
    NORMALIZE_ONLY
  }

  /** Which settings are the base. Immutable and thread-safe. */
  public enum Preset {
    /** Those of an agent that was not configured. */
    AGENT,
    /** Everything that can be hidden is. */
    ALL
  }

  /** How {@link #obfuscate} works. Immutable and thread-safe: each method gives a new one. */
  public static final class Obfuscation {
    private final TextKind kind;
    private final String dbms;
    private final String mode;
    private final String preset;

    private Obfuscation(TextKind kind, String dbms, String mode, String preset) {
      this.kind = kind;
      this.dbms = dbms;
      this.mode = mode;
      this.preset = preset;
    }

    /** As an agent does it that was not configured. */
    public static Obfuscation of(TextKind kind) {
      return new Obfuscation(Payload.notNull("kind", kind), "", "", "");
    }

    /** For SQL: the dialect, {@code mysql} for instance. */
    public Obfuscation dbms(String name) {
      if (Payload.notNull("name", name).indexOf('\0') >= 0) {
        throw new IllegalArgumentException("name has a NUL in it");
      }
      return new Obfuscation(kind, name, mode, preset);
    }

    /** For SQL: how much is changed. */
    public Obfuscation mode(SqlMode wanted) {
      String name = Payload.notNull("mode", wanted).name().toLowerCase(Locale.ROOT);
      return new Obfuscation(kind, dbms, name, preset);
    }

    /** Which settings are the base. */
    public Obfuscation preset(Preset base) {
      String name = Payload.notNull("preset", base).name().toLowerCase(Locale.ROOT);
      return new Obfuscation(kind, dbms, mode, name);
    }

    byte[] request() {
      String request = kind.name + '\0' + dbms + '\0' + mode + '\0' + preset;
      return request.getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public boolean equals(@Nullable Object o) {
      return o instanceof Obfuscation && ((Obfuscation) o).toString().equals(toString());
    }

    @Override
    public int hashCode() {
      return toString().hashCode();
    }

    @Override
    public String toString() {
      return "Obfuscation{" + kind + ", " + dbms + ", " + mode + ", " + preset + '}';
    }
  }

  /** How {@link #stats} counts. Immutable and thread-safe: each method gives a new one. */
  public static final class Counting {
    private final boolean late;
    private final boolean obfuscated;

    private Counting(boolean late, boolean obfuscated) {
      this.late = late;
      this.obfuscated = obfuscated;
    }

    /** Every span in the bucket in which it ended. */
    public static Counting whereTheyEnded() {
      return new Counting(false, false);
    }

    /** Spans that ended long ago are counted in a bucket of now, as an exporter does it. */
    public static Counting asAnExporter() {
      return new Counting(true, false);
    }

    /**
     * Resources are obfuscated, as they are when an agent agrees to that ({@link
     * Builder#obfuscateStats}).
     */
    public Counting obfuscated() {
      return new Counting(late, true);
    }

    @Override
    public boolean equals(@Nullable Object o) {
      return o instanceof Counting
          && ((Counting) o).late == late
          && ((Counting) o).obfuscated == obfuscated;
    }

    @Override
    public int hashCode() {
      return (late ? 2 : 0) + (obfuscated ? 1 : 0);
    }

    @Override
    public String toString() {
      return "Counting{"
          + (late ? "as an exporter" : "where they ended")
          + (obfuscated ? ", obfuscated}" : "}");
    }
  }
}
