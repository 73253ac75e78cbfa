package com.datadog.pipeline;

/**
 * What kind of error a {@link TraceExporterException} is. The numbers are stable across versions
 * and the same in Rust; they are never used again for something else. Immutable and thread-safe.
 */
public enum ErrorCode {
  /** An argument is out of its range. */
  INVALID_ARGUMENT(1),
  /** Settings contradict each other, or one has a value that cannot work. */
  INVALID_CONFIGURATION(2),
  /** The agent URL cannot be used. */
  INVALID_URL(3),
  /** The payload is not what its format says; the message names trace, span, key and offset. */
  MALFORMED_PAYLOAD(10),
  /** The payload ends before its declared content does. */
  TRUNCATED_PAYLOAD(11),
  /** The payload, or one trace of it, is larger than the agent takes. */
  PAYLOAD_TOO_LARGE(12),
  /** Nobody listens at the agent's address. */
  CONNECTION_REFUSED(20),
  /** The agent's host name has no address. */
  NAME_NOT_RESOLVED(21),
  /** The agent's address cannot be reached. */
  UNREACHABLE(22),
  /** The Unix socket or named pipe does not exist. */
  SOCKET_MISSING(23),
  /** The process may not open the Unix socket or named pipe. */
  SOCKET_DENIED(24),
  /** The path is not a stream socket. */
  SOCKET_WRONG_TYPE(25),
  /** The agent closed or reset the connection before it had answered. */
  CONNECTION_RESET(26),
  /** A time limit passed. */
  TIMED_OUT(27),
  /** The answer is not HTTP, or breaks off. */
  INVALID_RESPONSE(28),
  /** Earlier sends failed for so long that this one was refused at once. */
  AGENT_DOWN(29),
  /** The agent answered with a status that is not a success. */
  HTTP_STATUS(30),
  /** Any other input or output error. */
  IO(31),
  /**
   * TLS could not be agreed on: a certificate that cannot be accepted, here or there, or no TLS.
   */
  TLS_FAILED(32),
  /** The proxy does not let us through. */
  PROXY_REFUSED(33),
  /** The queue had no room. */
  QUEUE_FULL(40),
  /** The payload was taken out of the queue again to make room. */
  EVICTED(41),
  /** The exporter was closed before the payload could be delivered. */
  CLOSED(50),
  /** A defect of this library that it noticed itself. */
  INTERNAL(60),
  /** A panic inside the native library, caught at its border. */
  PANIC(61),
  /** The native memory that a payload asks for is not there; nothing of it is kept. */
  OUT_OF_MEMORY(62),
  /** The native library could not be loaded. */
  LIBRARY_UNAVAILABLE(70),
  /** The native library is of another version than the JAR. */
  VERSION_MISMATCH(71);

  private final int number;

  ErrorCode(int number) {
    this.number = number;
  }

  /** The stable number. */
  public int number() {
    return number;
  }

  static ErrorCode of(int number) {
    for (ErrorCode code : values()) {
      if (code.number == number) {
        return code;
      }
    }
    return INTERNAL;
  }
}
