package com.datadog.pipeline.internal.plain;

import com.datadog.pipeline.ErrorCode;
import java.text.ParsePosition;
import java.text.SimpleDateFormat;
import java.util.Calendar;
import java.util.Date;
import java.util.GregorianCalendar;
import java.util.Locale;
import java.util.TimeZone;
import java.util.concurrent.ThreadLocalRandom;

/**
 * When a send is tried again, and how long it waits first: the rules of the native side ({@code
 * src/transport/retry.rs}). Only what can succeed is repeated; waits are exponential with full
 * jitter; {@code Retry-After} is honoured; one budget covers it all. Not thread-safe.
 */
public final class Retry {
  private static final long FIRST_WAIT_MILLIS = 100;
  private static final long LONGEST_WAIT_MILLIS = 1_000;

  /** With less time than this left, another attempt is not worth starting. */
  static final long LEAST_MILLIS = 20;

  /** A {@code Retry-After} beyond this is taken for a mistake and ignored. */
  private static final long ABSURD_MILLIS = 24 * 3_600_000L;

  private int waits;

  /** Whether a request that got this status may succeed when it is sent again. */
  static boolean repeatsStatus(int status) {
    // 501 and 505 are 5xx that stay the same however often one asks.
    boolean server = status >= 500 && status <= 599 && status != 501 && status != 505;
    return server || status == 408 || status == 429;
  }

  /** Whether a request that failed so before its answer may succeed when it is sent again. */
  static boolean repeatsKind(ErrorCode code) {
    switch (code) {
      case CONNECTION_REFUSED:
      case NAME_NOT_RESOLVED:
      case UNREACHABLE:
      case SOCKET_MISSING:
      case CONNECTION_RESET:
      case TIMED_OUT:
      case IO:
        return true;
      default:
        return false;
    }
  }

  /**
   * How long to wait before the next attempt, in ms; -1 if what is left of the budget has no room
   * for one, or is less than the agent asks us to stay away ({@code retryAfter}, -1: it does not).
   */
  long next(long leftMillis, long retryAfter) {
    long left = leftMillis - LEAST_MILLIS;
    if (left < 0) {
      return -1;
    }
    long ceiling = Math.min(FIRST_WAIT_MILLIS << Math.min(waits, 16), LONGEST_WAIT_MILLIS);
    ceiling = Math.min(ceiling, left);
    waits++;
    long jittered = (long) (ceiling * ThreadLocalRandom.current().nextDouble());
    if (retryAfter > left) {
      return -1;
    }
    // A little jitter on top: the agent tells all its clients the same number.
    return retryAfter < 0 ? jittered : Math.min(retryAfter + jittered, left);
  }

  /**
   * Reads {@code Retry-After}: seconds, or a date in one of the three forms of RFC 9110. -1 for
   * what cannot be read, lies in the past or asks for more than a day.
   */
  static long retryAfter(String value, long nowMillis) {
    String text = value == null ? "" : value.trim();
    if (text.isEmpty()) {
      return -1;
    }
    boolean digits = true;
    for (int i = 0; i < text.length(); i++) {
      digits &= text.charAt(i) >= '0' && text.charAt(i) <= '9';
    }
    if (digits) {
      return text.length() > 6 || Long.parseLong(text) * 1000 > ABSURD_MILLIS
          ? -1
          : Long.parseLong(text) * 1000;
    }
    for (String form :
        new String[] {
          "EEE, dd MMM yyyy HH:mm:ss 'GMT'",
          "EEEE, dd-MMM-yy HH:mm:ss 'GMT'",
          "EEE MMM d HH:mm:ss yyyy"
        }) {
      SimpleDateFormat format = new SimpleDateFormat(form, Locale.ENGLISH);
      format.setLenient(false);
      format.setTimeZone(TimeZone.getTimeZone("GMT"));
      Calendar century = new GregorianCalendar(TimeZone.getTimeZone("GMT"), Locale.ROOT);
      century.setTimeInMillis(nowMillis);
      // A year of two digits is not more than 50 years ahead.
      century.add(Calendar.YEAR, -50);
      format.set2DigitYearStart(century.getTime());
      ParsePosition at = new ParsePosition(0);
      Date date = format.parse(text.replaceAll(" +", " "), at);
      if (date != null && at.getErrorIndex() < 0) {
        long wait = date.getTime() - nowMillis;
        return wait < 0 || wait > ABSURD_MILLIS ? -1 : wait;
      }
    }
    return -1;
  }
}
