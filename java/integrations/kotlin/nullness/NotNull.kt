import com.datadog.pipeline.Builder

/** Must not compile: a setter takes no null. */
fun env(builder: Builder): Builder = builder.env(null)
