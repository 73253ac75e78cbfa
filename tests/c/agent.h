// An agent for tests, in a thread of this process: counts what comes and keeps the last body.
#ifndef TEST_AGENT_H
#define TEST_AGENT_H

#include <datadog/common.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);           \
      abort();                                                                  \
    }                                                                           \
  } while (0)

// No error; says which if there is one.
#define OK(call)                                                                \
  do {                                                                          \
    ddog_TraceExporterError *error_ = (call);                                   \
    if (error_ != NULL) {                                                       \
      fprintf(stderr, "%s:%d: %d: %s\n", __FILE__, __LINE__, (int)error_->code, error_->msg); \
      abort();                                                                  \
    }                                                                           \
  } while (0)

// No error of ours; says which if there is one. For programs that include <data-pipeline.h>.
#define FINE(call)                                                              \
  do {                                                                          \
    dp_Error *error_ = (call);                                                  \
    if (error_ != NULL) {                                                       \
      fprintf(stderr, "%s:%d: %u: %s\n", __FILE__, __LINE__, error_->kind, error_->message); \
      abort();                                                                  \
    }                                                                           \
  } while (0)

// An error of ours of this kind that says this, which is freed.
#define NOT_FINE(expected, words, call)                                         \
  do {                                                                          \
    dp_Error *error_ = (call);                                                  \
    CHECK(error_ != NULL);                                                      \
    if (error_->kind != (expected) || strstr(error_->message, (words)) == NULL) { \
      fprintf(stderr, "%s:%d: %u: %s\n", __FILE__, __LINE__, error_->kind, error_->message); \
      abort();                                                                  \
    }                                                                           \
    dp_error_free(error_);                                                      \
  } while (0)

// An error of this code, which is freed.
#define FAILS(expected, call)                                                   \
  do {                                                                          \
    ddog_TraceExporterError *error_ = (call);                                   \
    CHECK(error_ != NULL);                                                      \
    if (error_->code != (expected)) {                                           \
      fprintf(stderr, "%s:%d: %d: %s\n", __FILE__, __LINE__, (int)error_->code, error_->msg); \
      abort();                                                                  \
    }                                                                           \
    CHECK(error_->msg != NULL && error_->msg[0] != 0);                          \
    ddog_trace_exporter_error_free(error_);                                     \
  } while (0)

// Starts it; gives its URL, which lives as long as the process.
ddog_CharSlice agent_start(void);
// The same in a process of its own, which ends with this one, so that no thread of an agent is there when this one forks.
// Of it, only agent_traces is known here.
ddog_CharSlice agent_start_apart(void);
// Milliseconds before each answer, and the status of each.
void agent_behave(int delay_ms, int status);
// What it says of itself from now on; null, as in the beginning: it has no /info. The text must live on.
void agent_info(const char *json);
// Whether the last request for a way through it, as a proxy, had this text.
int agent_tunneled(const char *text);
// Traces taken so far.
unsigned long agent_traces(void);
// The last body with traces, copied; the caller frees it.
char *agent_body(size_t *length);
// Whether the last body, or the request that brought it, has these bytes.
int agent_saw(const char *text);
ddog_CharSlice chars(const char *text);

#endif
