// datadog/shared-runtime.h: what exporters are forked and shut down by.
// Made by `python3 scripts/headers.py` from src/capi. Change the sources, not this file.
// Source-compatible with the headers of libdatadog 41.0.0 (revision 9d6b2ffb); binaries of other generations are no drop-in.
//
// What holds for every function:
// - A null error is success. An error is the caller's, and is freed by the function of its type, once: it is a plain
//   struct at an address, so nothing here can notice that it is freed twice.
// - What comes out through an out pointer is the caller's, and is freed by the function of its type. After an error
//   nothing was written there.
// - A handle is no address. One that is null, was freed or was never made is an error (INVALID_ARGUMENT); freeing it is
//   nothing, and counted.
// - A slice must be readable until the call returns; its bytes are copied. Texts are UTF-8 and may hold zeros.
// - Any thread may call anything; a span, an event and a list of chunks by one thread at a time, if the order matters.
// - No function prints, installs signal handlers, or lets a panic out.

#ifndef DATADOG_SHARED_RUNTIME_H
#define DATADOG_SHARED_RUNTIME_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <datadog/common.h>
#include <datadog/data-pipeline.h>

// What kind of error it is.
typedef enum ddog_SharedRuntimeErrorCode {
  // A handle names nothing, or a pointer is null.
  DDOG_SHARED_RUNTIME_ERROR_CODE_INVALID_ARGUMENT,
  // The runtime was shut down.
  DDOG_SHARED_RUNTIME_ERROR_CODE_RUNTIME_UNAVAILABLE,
  // A lock cannot be taken.
  DDOG_SHARED_RUNTIME_ERROR_CODE_LOCK_FAILED,
  // An exporter could not be stopped or started again.
  DDOG_SHARED_RUNTIME_ERROR_CODE_WORKER_ERROR,
  // The runtime cannot be made.
  DDOG_SHARED_RUNTIME_ERROR_CODE_RUNTIME_CREATION,
  // Not everything was sent before the time was over; the rest is dropped, and counted.
  DDOG_SHARED_RUNTIME_ERROR_CODE_SHUTDOWN_TIMED_OUT,
  // A panic inside the library, caught at its border.
  DDOG_SHARED_RUNTIME_ERROR_CODE_PANIC,
} ddog_SharedRuntimeErrorCode;

// Why a function failed. Null means success. Freed by `ddog_shared_runtime_error_free`, once.
typedef struct ddog_SharedRuntimeFFIError {
  // What kind of error it is.
  enum ddog_SharedRuntimeErrorCode code;
  // A sentence for a person; ends with a zero.
  char *msg;
} ddog_SharedRuntimeFFIError;

#ifdef __cplusplus
extern "C" {
#endif

// Frees an error, once: it is a plain struct, and nothing can tell that it was freed before. Null is nothing.
void ddog_shared_runtime_error_free(struct ddog_SharedRuntimeFFIError *error);

// Makes a runtime; `out_handle` becomes the caller's.
struct ddog_SharedRuntimeFFIError *ddog_shared_runtime_new(const struct ddog_ForkSafeRuntime **out_handle);

// Frees a runtime; its exporters go on. Null is nothing; a second time is nothing, and counted.
void ddog_shared_runtime_free(const struct ddog_ForkSafeRuntime *handle);

// Call it before `fork`. Waits for calls that run, up to two seconds, and parks the threads of every exporter of the
// process; what waits in queues stays there. Calls of other threads wait until one of the functions after the fork.
struct ddog_SharedRuntimeFFIError *ddog_shared_runtime_before_fork(const struct ddog_ForkSafeRuntime *handle);

// Call it after `fork` in the parent: everything goes on.
struct ddog_SharedRuntimeFFIError *ddog_shared_runtime_after_fork_parent(const struct ddog_ForkSafeRuntime *handle);

// Call it after `fork` in the child: every exporter begins anew, with an empty queue, connections, an account and (if
// the caller has not set one) a runtime id of its own. Handles stay what they are. What waits in the parent is the
// parent's, and so is a spool. A second time is nothing; in a process that has not forked everything goes on, and it
// is an error if a fork was announced.
struct ddog_SharedRuntimeFFIError *ddog_shared_runtime_after_fork_child(const struct ddog_ForkSafeRuntime *handle);

// Closes the exporters that belong to the runtime, within so many milliseconds; 0 is no limit but ten minutes.
struct ddog_SharedRuntimeFFIError *ddog_shared_runtime_shutdown(const struct ddog_ForkSafeRuntime *handle,
                                                                uint64_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif // DATADOG_SHARED_RUNTIME_H
