package closed.common.writer.ddagent;

import java.util.function.UnaryOperator;

/** A sender that is called as a tracer's is, and answers whom it was given. */
public final class DDAgentApi implements UnaryOperator<Object> {
  /** What the bridge patches. */
  public Object sendSerializedTraces(Object payload) {
    return payload == null ? "nothing" : payload;
  }

  @Override
  public Object apply(Object payload) {
    return sendSerializedTraces(payload);
  }
}
