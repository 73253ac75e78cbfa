package com.datadog.pipeline.internal.plain;

import com.datadog.pipeline.ErrorCode;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** What an answer that is no success means, in words that help. Stateless, thread-safe. */
final class Refusals {
  /** So much of what the agent says goes into an error message. */
  private static final int MAX_WORDS = 300;

  private Refusals() {}

  /** Null for a success. */
  static Failure of(String address, String what, Answer answer) {
    int status = answer.status;
    String said = words(answer.body());
    if (status >= 200 && status < 300) {
      String type = String.valueOf(answer.header("content-type")).toLowerCase(Locale.ROOT);
      boolean page = type.startsWith("text/html") || said.startsWith("<");
      if (!page) {
        return null;
      }
      String why = address + " gave no answer that can be used: it is a web page";
      return told(new Failure(ErrorCode.INVALID_RESPONSE, why), answer);
    }
    String text = address + " answered " + status + " to " + what;
    text += said.isEmpty() ? "" : ": \"" + said + '"';
    ErrorCode code = status == 413 ? ErrorCode.PAYLOAD_TOO_LARGE : ErrorCode.HTTP_STATUS;
    Failure failure = told(new Failure(code, text + "; " + advice(status)), answer);
    failure.repeats = Retry.repeatsStatus(status);
    failure.retryAfterMillis =
        Retry.retryAfter(answer.header("retry-after"), System.currentTimeMillis());
    return failure;
  }

  private static Failure told(Failure failure, Answer answer) {
    failure.status = answer.status;
    failure.agentState = answer.header("datadog-agent-state");
    return failure;
  }

  private static String advice(int status) {
    switch (status) {
      case 400:
        return "the agent could not read the payload";
      case 401:
      case 403:
        return "an agent asks for no credentials, so something in front of it does: check `url` and"
            + " `header`";
      case 404:
      case 405:
        return "it has no such endpoint: check the path prefix in `url`, or the agent is too old or"
            + " has APM switched off";
      case 408:
        return "the body did not arrive in the agent's own time limit"
            + " (apm_config.receiver_timeout, 5 s by default)";
      case 413:
        return "the payload is larger than the agent takes (apm_config.max_payload_size, 25 MiB by"
            + " default)";
      case 415:
        return "it does not take msgpack at this endpoint: check `url`";
      case 429:
        return "the agent is overloaded: give it more CPU or apm_config.decoders, or send less";
      default:
        if (status >= 300 && status < 400) {
          return "redirects are not followed: `url` must name the agent itself";
        }
        return status >= 500
            ? "the agent, or a proxy in front of it, is in trouble: its own log says more"
            : "that is no answer an agent gives: check `url`";
    }
  }

  /** One line of readable text, cut. */
  private static String words(byte[] body) {
    int length = Math.min(body.length, MAX_WORDS * 4);
    String text = new String(body, 0, length, StandardCharsets.UTF_8);
    String line = text.replaceAll("[\\s\\p{Cntrl}]+", " ").trim();
    boolean cut = line.length() > MAX_WORDS || length < body.length;
    return cut ? line.substring(0, Math.min(line.length(), MAX_WORDS)) + "..." : line;
  }
}
