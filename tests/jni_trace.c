/* A JVMTI agent that writes down which classes and members our library asks the JVM for by name: what a native image has to
 * know (META-INF/native-image). scripts/reach_java.py builds it, runs the JUnit tests under it and compares.
 *
 * java -agentpath:libjni_trace.so=FILE ...    appends a line "CLASS [MEMBER SIGNATURE]" a look-up, repetitions included
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <jvmti.h>
#include <stdio.h>
#include <string.h>

static jvmtiEnv *jvmti;
static jniNativeInterface original;
static FILE *out;

/* Whether the caller is our library, and not the JVM's own natives. */
static int is_ours(void *caller) {
  Dl_info info;
  return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "data_pipeline");
}

static void note(jclass type, const char *member, const char *signature) {
  char *name = NULL;
  if ((*jvmti)->GetClassSignature(jvmti, type, &name, NULL) == JVMTI_ERROR_NONE) {
    fprintf(out, "%s %s %s\n", name, member, signature);
    fflush(out);
    (*jvmti)->Deallocate(jvmti, (unsigned char *)name);
  }
}

#define CALLER is_ours(__builtin_return_address(0))

static jclass JNICALL find_class(JNIEnv *env, const char *name) {
  int ours = CALLER;
  jclass type = original.FindClass(env, name);
  if (ours && type) note(type, "", "");
  return type;
}

static jmethodID JNICALL method(JNIEnv *env, jclass type, const char *name, const char *signature) {
  if (CALLER) note(type, name, signature);
  return original.GetMethodID(env, type, name, signature);
}

static jmethodID JNICALL static_method(JNIEnv *env, jclass type, const char *name, const char *signature) {
  if (CALLER) note(type, name, signature);
  return original.GetStaticMethodID(env, type, name, signature);
}

static jfieldID JNICALL field(JNIEnv *env, jclass type, const char *name, const char *signature) {
  if (CALLER) note(type, name, signature);
  return original.GetFieldID(env, type, name, signature);
}

static jfieldID JNICALL static_field(JNIEnv *env, jclass type, const char *name, const char *signature) {
  if (CALLER) note(type, name, signature);
  return original.GetStaticFieldID(env, type, name, signature);
}

static jint JNICALL throw_new(JNIEnv *env, jclass type, const char *message) {
  if (CALLER) note(type, "<init>", "(Ljava/lang/String;)V");
  return original.ThrowNew(env, type, message);
}

static jobject JNICALL alloc_object(JNIEnv *env, jclass type) {
  if (CALLER) note(type, "", "unsafe");
  return original.AllocObject(env, type);
}

static void JNICALL started(jvmtiEnv *ti, JNIEnv *env, jthread thread) {
  jniNativeInterface *table;
  (void)env, (void)thread;
  if ((*ti)->GetJNIFunctionTable(ti, &table) != JVMTI_ERROR_NONE) return;
  original = *table;
  table->FindClass = find_class;
  table->GetMethodID = method;
  table->GetStaticMethodID = static_method;
  table->GetFieldID = field;
  table->GetStaticFieldID = static_field;
  table->ThrowNew = throw_new;
  table->AllocObject = alloc_object;
  (*ti)->SetJNIFunctionTable(ti, table);
}

JNIEXPORT jint JNICALL Agent_OnLoad(JavaVM *vm, char *options, void *reserved) {
  jvmtiEventCallbacks callbacks = {0};
  (void)reserved;
  out = fopen(options, "a");
  if (!out || (*vm)->GetEnv(vm, (void **)&jvmti, JVMTI_VERSION_1_2) != JNI_OK) return JNI_ERR;
  callbacks.VMInit = started;
  (*jvmti)->SetEventCallbacks(jvmti, &callbacks, sizeof callbacks);
  return (*jvmti)->SetEventNotificationMode(jvmti, JVMTI_ENABLE, JVMTI_EVENT_VM_INIT, NULL) == JVMTI_ERROR_NONE ? JNI_OK : JNI_ERR;
}
