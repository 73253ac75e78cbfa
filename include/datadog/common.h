// datadog/common.h: slices, and the error of the functions for logging.
// Made by `python3 scripts/headers.py` from src/capi. Change the sources, not this file.
// Source-compatible with the headers of libdatadog 41.0.0 (revision 9d6b2ffb); binaries of other generations are no drop-in.

#ifndef DATADOG_COMMON_H
#define DATADOG_COMMON_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_CChar {
  // The first value.
  const char *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_CChar;

// Text in UTF-8, without a zero at its end.
typedef struct ddog_Slice_CChar ddog_CharSlice;

// Bytes that this library owns.
typedef struct ddog_Vec_U8 {
  const uint8_t *ptr;
  uintptr_t len;
  uintptr_t capacity;
} ddog_Vec_U8;

// Why a function failed. Opaque: `ddog_Error_message` reads it, `ddog_Error_drop` frees it.
typedef struct ddog_Error {
  struct ddog_Vec_U8 message;
} ddog_Error;

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_U8 {
  // The first value.
  const uint8_t *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_U8;

// Bytes.
typedef struct ddog_Slice_U8 ddog_ByteSlice;

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_CharSlice {
  // The first value.
  const ddog_CharSlice *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_CharSlice;

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_Bool {
  // The first value.
  const bool *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_Bool;

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_I64 {
  // The first value.
  const int64_t *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_I64;

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_F64 {
  // The first value.
  const double *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_F64;

// A CharSlice of a string literal, without the zero at its end.
#ifdef __cplusplus
#define DDOG_CHARSLICE_C(string) (ddog_CharSlice{ "" string, sizeof(string) - 1 })
#else
#define DDOG_CHARSLICE_C(string) ((ddog_CharSlice){ .ptr = "" string, .len = sizeof(string) - 1 })
#endif
// The same, for initialisers of static values.
#define DDOG_CHARSLICE_C_BARE(string) { "" string, sizeof(string) - 1 }

#ifdef __cplusplus
extern "C" {
#endif

// The text of an error. It lives as long as the error. An empty text for null.
ddog_CharSlice ddog_Error_message(const struct ddog_Error *error);

// Frees an error, once. Null is nothing.
void ddog_Error_drop(struct ddog_Error *error);

#ifdef __cplusplus
}
#endif

#endif // DATADOG_COMMON_H
