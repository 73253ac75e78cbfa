package java.net;

/** As much of the enum of Java 16 as ours names; never packed. */
public enum StandardProtocolFamily implements ProtocolFamily {
  /** Sockets with a path. */
  UNIX
}
