// datadog/log.h: where log lines go.
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

#ifndef DATADOG_LOG_H
#define DATADOG_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <datadog/common.h>

// Where standard lines go.
typedef enum ddog_StdTarget {
  // Standard output.
  DDOG_STD_TARGET_OUT,
  // Standard error.
  DDOG_STD_TARGET_ERR,
} ddog_StdTarget;

// How important a line is at least, to be written.
typedef enum ddog_LogEventLevel {
  // Everything.
  DDOG_LOG_EVENT_LEVEL_TRACE = 0,
  // Everything.
  DDOG_LOG_EVENT_LEVEL_DEBUG = 1,
  // Everything.
  DDOG_LOG_EVENT_LEVEL_INFO = 2,
  // Troubles.
  DDOG_LOG_EVENT_LEVEL_WARN = 3,
  // Losses.
  DDOG_LOG_EVENT_LEVEL_ERROR = 4,
} ddog_LogEventLevel;

// Lines go to standard output or error.
typedef struct ddog_StdConfig {
  // Which of the two.
  enum ddog_StdTarget target;
} ddog_StdConfig;

// Lines go to a file.
typedef struct ddog_FileConfig {
  // The file.
  ddog_CharSlice path;
  // How many files there are at most, the one that is written included; 0: no limit.
  uint64_t max_files;
  // From how many bytes on another one is begun; the old one is called PATH.1, the one before PATH.2. 0: never.
  uint64_t max_size_bytes;
} ddog_FileConfig;

#ifdef __cplusplus
extern "C" {
#endif

// Writes lines to standard output or error from now on.
struct ddog_Error *ddog_logger_configure_std(struct ddog_StdConfig config);

// Writes no lines to standard output or error any more.
struct ddog_Error *ddog_logger_disable_std(void);

// Writes lines to a file from now on.
struct ddog_Error *ddog_logger_configure_file(struct ddog_FileConfig config);

// Writes no lines to a file any more, and closes it.
struct ddog_Error *ddog_logger_disable_file(void);

// Says which lines are written.
struct ddog_Error *ddog_logger_set_log_level(enum ddog_LogEventLevel log_level);

#ifdef __cplusplus
}
#endif

#endif // DATADOG_LOG_H
