// Gradle 5 and newer, Kotlin DSL: the BOM says the versions.
plugins { java }

repositories {
  maven(url = uri(providers.gradleProperty("repository").get()))
  mavenCentral()
}

dependencies {
  implementation(platform("com.datadog.pipeline:data-pipeline-bom:0.1.0"))
  implementation("com.datadog.pipeline:data-pipeline")
  implementation("com.datadog.pipeline:data-pipeline-testkit")
}

sourceSets.main { java.setSrcDirs(listOf("../app")) }

tasks.register<JavaExec>("consume") {
  classpath = sourceSets.main.get().runtimeClasspath
  mainClass.set("consumer.Main")
}
