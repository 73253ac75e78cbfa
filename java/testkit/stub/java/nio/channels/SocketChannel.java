package java.nio.channels;

/** As much of the class of Java 16 as ours names; never packed. */
public abstract class SocketChannel implements ByteChannel {}
