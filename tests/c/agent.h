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
// Milliseconds before each answer, and the status of each.
void agent_behave(int delay_ms, int status);
// Traces taken so far.
unsigned long agent_traces(void);
// The last body with traces, copied; the caller frees it.
char *agent_body(size_t *length);
// Whether the last body, or the request that brought it, has these bytes.
int agent_saw(const char *text);
ddog_CharSlice chars(const char *text);

#endif
