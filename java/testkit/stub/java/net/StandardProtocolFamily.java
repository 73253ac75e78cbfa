package java.net;

/** As much of the class of Java 16 as ours names; never packed. */
public enum StandardProtocolFamily implements ProtocolFamily {
  UNIX
}
