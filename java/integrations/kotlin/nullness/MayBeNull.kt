import com.datadog.pipeline.AgentResponse

/** Must not compile: the hash may be null. */
fun hash(response: AgentResponse): String = response.containerTagsHash()
