// Forks under load: ROUNDS (200) children while LOAD (4) threads send and offer. Each child sends traces of its own through
// the same handle; the parent loses nothing. Before that, forks while HANDLES (100000) are made by each of four threads. A
// child that hangs says where.
//
// Not every allocator lets a process fork while another thread allocates: that of AddressSanitizer in GCC before 14 leaves
// its locks taken in the child. LOAD=0 is for such ones.
#define _GNU_SOURCE
#include "agent.h"
#include <data-pipeline.h>
#include <datadog/data-pipeline.h>
#include <datadog/shared-runtime.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint8_t PAYLOAD[] = {0x91, 0x91, 0x83, 0xa4, 'n', 'a', 'm', 'e', 0xa1, 'n', 0xa8, 't', 'r', 'a',
                                  'c',  'e',  '_',  'i',  'd', 1,   0xa7, 's', 'p',  'a',  'n', '_', 'i', 'd', 2};
static const ddog_ByteSlice BYTES = {PAYLOAD, sizeof(PAYLOAD)};

// Seconds after which a child counts as hung: more than the slowest machine needs.
enum { PATIENCE = 100 };

static ddog_TraceExporter *exporter;
static atomic_bool over;
static atomic_ulong sent;

static ddog_TracerTraceChunks *chunks(void) {
  ddog_TracerSpanFields fields = {.service = DDOG_CHARSLICE_C("s"), .name = DDOG_CHARSLICE_C("n"), .trace_id_low = 1, .span_id = 2};
  ddog_TracerSpan *span = NULL;
  ddog_TracerTraceChunks *chunks = NULL;
  OK(ddog_tracer_span_new(&span, &fields));
  OK(ddog_tracer_span_set_meta(span, DDOG_CHARSLICE_C("k"), DDOG_CHARSLICE_C("v")));
  OK(ddog_tracer_trace_chunks_new(1, &chunks));
  OK(ddog_tracer_trace_chunks_begin_chunk(chunks, 1));
  OK(ddog_tracer_trace_chunks_push_span(chunks, span));
  return chunks;
}

static void *load(void *argument) {
  int kind = (int)(long)argument;
  ddog_TraceExporterCancelToken *token = ddog_trace_exporter_cancel_token_new();
  while (!over) {
    if (kind == 0) {
      OK(ddog_trace_exporter_send(exporter, BYTES, NULL));
    } else if (kind == 1) {
      OK(ddog_trace_exporter_send_trace_chunks(exporter, chunks(), NULL, NULL));
    } else if (kind == 2) {
      OK(ddog_trace_exporter_send_trace_chunks(exporter, chunks(), NULL, token));
    } else {
      dp_Error *error = dp_exporter_offer(exporter, BYTES, NULL);
      CHECK(error == NULL);
    }
    sent++;
    usleep(500);
  }
  ddog_trace_exporter_cancel_token_drop(token);
  return NULL;
}

static char *runtime_id(void) {
  dp_Text *answer = NULL;
  CHECK(dp_exporter_ask(exporter, DP_QUESTION_EXPLAIN, 0, &answer) == NULL);
  ddog_CharSlice text = dp_text_get(answer);
  char *copy = strndup(text.ptr, text.len), *at = strstr(copy, "\"runtimeId\":{");
  CHECK(at != NULL && (at = strstr(at, "\"value\":\"")) != NULL);
  char *id = strndup(at + 9, 36);
  free(copy);
  dp_text_free(answer);
  return id;
}

static void late(int signal) {
  static const char HANGS[] = "fork: a child hangs:\n";
  void *frames[60];
  (void)signal;
  if (write(2, HANGS, sizeof(HANGS) - 1) > 0) backtrace_symbols_fd(frames, backtrace(frames, 60), 2);
  _exit(99);
}

static int number(const char *name, int otherwise) {
  const char *wanted = getenv(name);
  return wanted != NULL ? atoi(wanted) : otherwise;
}

// What the child does; its status says which check failed.
static int child(const ddog_ForkSafeRuntime *runtime, const char *parents_id) {
  alarm(PATIENCE);
  if (ddog_shared_runtime_after_fork_child(runtime) != NULL) return 1;
  dp_Account account;
  if (dp_exporter_account(exporter, &account) != NULL || account.received.traces != 0) return 2;
  char *id = runtime_id();
  if (strcmp(id, parents_id) == 0) return 3;
  free(id);
  ddog_TraceExporterResponse *response = NULL;
  if (ddog_trace_exporter_send_trace_chunks(exporter, chunks(), &response, NULL) != NULL) return 4;
  if (ddog_trace_exporter_response_get_body(response).len == 0) return 5;
  ddog_trace_exporter_response_free(response);
  ddog_TraceExporterCancelToken *token = ddog_trace_exporter_cancel_token_new();
  if (ddog_trace_exporter_send_trace_chunks(exporter, chunks(), NULL, token) != NULL) return 6;
  if (dp_exporter_offer(exporter, BYTES, NULL) != NULL) return 7;
  dp_Flush flush;
  if (dp_exporter_flush(exporter, 5000, &flush) != NULL || !flush.complete) return 8;
  if (dp_exporter_account(exporter, &account) != NULL || account.sent.traces != 3) return 9;
  ddog_trace_exporter_free(exporter);
  return 0;
}

static ddog_TraceExporterConfig *config(ddog_CharSlice url, const ddog_ForkSafeRuntime *runtime) {
  ddog_TraceExporterConfig *config = NULL;
  ddog_trace_exporter_config_new(&config);
  OK(ddog_trace_exporter_config_set_url(config, url));
  OK(ddog_trace_exporter_config_set_shared_runtime(config, (ddog_ForkSafeRuntime *)runtime));
  return config;
}

// Directories stay the parent's, also when settings change in the child, and in a child of that one.
static void directories(ddog_CharSlice url, const ddog_ForkSafeRuntime *runtime) {
  char place[] = "/tmp/capi-fork-XXXXXX", spool[40], captured[40];
  CHECK(mkdtemp(place) != NULL);
  snprintf(spool, sizeof(spool), "%s/spool", place);
  snprintf(captured, sizeof(captured), "%s/captured", place);
  ddog_TraceExporterConfig *c = config(url, runtime);
  CHECK(dp_config_set_pair(c, DDOG_CHARSLICE_C("spool"), chars(spool), DDOG_CHARSLICE_C("1 MiB")) == NULL);
  CHECK(dp_config_set_pair(c, DDOG_CHARSLICE_C("capture"), chars(captured), DDOG_CHARSLICE_C("1 MiB")) == NULL);
  OK(ddog_trace_exporter_new(&exporter, c));
  pid_t parent = getpid();
  for (int depth = 0; depth < 2; depth++) {
    CHECK(ddog_shared_runtime_before_fork(runtime) == NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0) {
      CHECK(ddog_shared_runtime_after_fork_parent(runtime) == NULL);
      int status = 0;
      CHECK(waitpid(pid, &status, 0) == pid);
      if (status != 0) fprintf(stderr, "fork: with directories, child %d, status %x\n", (int)pid, status);
      CHECK(status == 0);
      break;
    }
    alarm(PATIENCE);
    if (ddog_shared_runtime_after_fork_child(runtime) != NULL) _exit(11);
    if (dp_config_set(c, DDOG_CHARSLICE_C("env"), chars(depth == 0 ? "child" : "grandchild")) != NULL) _exit(12);
    if (dp_exporter_reconfigure(exporter, c) != NULL) _exit(13);
    if (dp_exporter_send(exporter, BYTES, NULL, NULL) != NULL) _exit(14);
  }
  ddog_trace_exporter_free(exporter);
  ddog_trace_exporter_config_free(c);
  if (getpid() != parent) _exit(0);
  char command[64];
  snprintf(command, sizeof(command), "rm -r %s", place);
  CHECK(system(command) == 0);
}

// Functions that are called by the wrong process, or not at all.
static void mistakes(ddog_CharSlice url, const ddog_ForkSafeRuntime *runtime) {
  ddog_TraceExporterConfig *c = config(url, runtime);
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_trace_exporter_config_free(c);
  OK(ddog_trace_exporter_send(exporter, BYTES, NULL));
  dp_Account account;
  // Nobody has forked: everything goes on.
  CHECK(ddog_shared_runtime_after_fork_child(runtime) == NULL && ddog_shared_runtime_after_fork_parent(runtime) == NULL);
  CHECK(ddog_shared_runtime_before_fork(runtime) == NULL);
  ddog_SharedRuntimeFFIError *error = ddog_shared_runtime_after_fork_child(runtime);
  CHECK(error != NULL && strstr(error->msg, "no child") != NULL);
  ddog_shared_runtime_error_free(error);
  OK(ddog_trace_exporter_send(exporter, BYTES, NULL));
  CHECK(dp_exporter_account(exporter, &account) == NULL && account.sent.traces == 2);
  for (int kind = 0; kind < 3; kind++) {
    // Announced twice, as by two runtimes.
    CHECK(ddog_shared_runtime_before_fork(runtime) == NULL && ddog_shared_runtime_before_fork(runtime) == NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      alarm(PATIENCE);
      // The parent's function, none at all, the right one three times.
      if (kind == 0 && ddog_shared_runtime_after_fork_parent(runtime) != NULL) _exit(21);
      if (kind == 2 && ddog_shared_runtime_after_fork_child(runtime) != NULL) _exit(22);
      if (ddog_trace_exporter_send(exporter, BYTES, NULL) != NULL) _exit(23);
      for (int i = 0; i < 2; i++) {
        if (kind == 2 && ddog_shared_runtime_after_fork_child(runtime) != NULL) _exit(24);
      }
      if (dp_exporter_account(exporter, &account) != NULL || account.sent.traces != 1) _exit(25);
      ddog_trace_exporter_free(exporter);
      _exit(0);
    }
    CHECK(ddog_shared_runtime_after_fork_parent(runtime) == NULL && ddog_shared_runtime_after_fork_parent(runtime) == NULL);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0) fprintf(stderr, "fork: mistake %d, status %x\n", kind, status);
    CHECK(status == 0);
    OK(ddog_trace_exporter_send(exporter, BYTES, NULL));
  }
  CHECK(dp_exporter_account(exporter, &account) == NULL && account.sent.traces == 5);
  ddog_trace_exporter_free(exporter);
}

static atomic_int makers;

static void *make_many(void *argument) {
  long count = (long)argument;
  ddog_TraceExporterCancelToken **all = malloc((size_t)count * sizeof(*all));
  for (long i = 0; i < count; i++) CHECK((all[i] = ddog_trace_exporter_cancel_token_new()) != NULL);
  makers--;
  for (long i = 0; i < count; i++) ddog_trace_exporter_cancel_token_drop(all[i]);
  free(all);
  return NULL;
}

// The tables of handles grow while the process forks: the child waits for nobody who is not there any more.
static void tables_grow(const ddog_ForkSafeRuntime *runtime) {
  enum { MAKERS = 4 };
  pthread_t threads[MAKERS];
  long count = number("HANDLES", 100000);
  makers = MAKERS;
  for (int i = 0; i < MAKERS; i++) CHECK(pthread_create(&threads[i], NULL, make_many, (void *)count) == 0);
  do {
    CHECK(ddog_shared_runtime_before_fork(runtime) == NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      alarm(PATIENCE);
      if (ddog_shared_runtime_after_fork_child(runtime) != NULL) _exit(31);
      for (int i = 0; i < 3; i++) {
        if (ddog_trace_exporter_cancel_token_new() == NULL) _exit(32);
      }
      _exit(0);
    }
    CHECK(ddog_shared_runtime_after_fork_parent(runtime) == NULL);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0) fprintf(stderr, "fork: while tables grow, status %x\n", status);
    CHECK(status == 0);
  } while (makers > 0);
  for (int i = 0; i < MAKERS; i++) pthread_join(threads[i], NULL);
}

int main(void) {
  int rounds = number("ROUNDS", 200), load_threads = number("LOAD", 4);
  ddog_CharSlice url = agent_start_apart();
  // The first call of it loads a library, which a handler must not.
  void *frame[1];
  backtrace(frame, 1);
  signal(SIGALRM, late);
  const ddog_ForkSafeRuntime *runtime = NULL;
  CHECK(ddog_shared_runtime_new(&runtime) == NULL);
  directories(url, runtime);
  mistakes(url, runtime);
  if (load_threads > 0) tables_grow(runtime);
  unsigned long before = agent_traces();
  ddog_TraceExporterConfig *c = config(url, runtime);
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_trace_exporter_config_free(c);
  char *id = runtime_id();
  pthread_t threads[4];
  CHECK(load_threads >= 0 && load_threads <= 4);
  for (long i = 0; i < load_threads; i++) CHECK(pthread_create(&threads[i], NULL, load, (void *)i) == 0);
  for (int round = 0; round < rounds; round++) {
    CHECK(ddog_shared_runtime_before_fork(runtime) == NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) _exit(child(runtime, id));
    CHECK(ddog_shared_runtime_after_fork_parent(runtime) == NULL);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0) {
      fprintf(stderr, "fork: round %d, child %d, status %x\n", round, (int)pid, status);
      return 1;
    }
  }
  over = true;
  for (int i = 0; i < load_threads; i++) pthread_join(threads[i], NULL);
  dp_Flush flush;
  CHECK(dp_exporter_flush(exporter, 10000, &flush) == NULL && flush.complete);
  dp_Account account;
  CHECK(dp_exporter_account(exporter, &account) == NULL);
  char *now = runtime_id();
  CHECK(strcmp(id, now) == 0);
  CHECK(account.received.traces == sent && account.sent.traces == sent && account.dropped.traces == 0);
  CHECK(agent_traces() - before == sent + 3 * (unsigned long)rounds);
  ddog_trace_exporter_free(exporter);
  ddog_shared_runtime_free(runtime);
  free(id);
  free(now);
  printf("fork: ok, %d forks, %lu traces of the parent\n", rounds, (unsigned long)sent);
  return 0;
}
