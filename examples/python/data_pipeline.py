"""The library for C from Python, by ctypes: an exporter that takes payloads and gives the agent's answer.

The library is the one of DATA_PIPELINE_LIBRARY, else the system's libdata-pipeline-ffi.so.
"""
import ctypes
import os
from ctypes import POINTER, Structure, byref, c_bool, c_char_p, c_size_t, c_uint32, c_uint64, c_void_p

lib = ctypes.CDLL(os.environ.get("DATA_PIPELINE_LIBRARY", "libdata-pipeline-ffi.so"))


class Slice(Structure):
    """A view of bytes, by value; `of` keeps what it views alive."""

    _fields_ = [("ptr", c_char_p), ("len", c_size_t)]

    @classmethod
    def of(cls, value):
        data = value.encode() if isinstance(value, str) else bytes(value)
        return cls(data, len(data))


class Result(Structure):
    """As Slice, for results: the bytes may hold zeros."""

    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]

    def read(self):
        return ctypes.string_at(self.ptr, self.len) if self.len else b""


class ErrorStruct(Structure):
    _fields_ = [("kind", c_uint32), ("status", c_uint32), ("attempts", c_uint32), ("temporary", c_bool), ("message", c_char_p)]


class Error(Exception):
    """What went wrong, with the number of its kind (docs/errors.md) and the agent's status."""

    def __init__(self, kind, status, message):
        super().__init__(f"Error code: {status}, Response: {message}" if status else message)
        self.kind, self.status = kind, status


def declare(name, result, *arguments):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments
    return function


# Handles and errors are pointers; as plain void pointers Python does not follow them.
config_new = declare("ddog_trace_exporter_config_new", None, POINTER(c_void_p))
config_free = declare("ddog_trace_exporter_config_free", None, c_void_p)
config_set = declare("dp_config_set", POINTER(ErrorStruct), c_void_p, Slice, Slice)
exporter_new = declare("ddog_trace_exporter_new", c_void_p, POINTER(c_void_p), c_void_p)
exporter_free = declare("ddog_trace_exporter_free", None, c_void_p)
exporter_send = declare("dp_exporter_send", POINTER(ErrorStruct), c_void_p, Slice, c_void_p, POINTER(c_void_p))
exporter_close = declare("dp_exporter_close", POINTER(ErrorStruct), c_void_p, c_uint64, c_void_p)
response_body = declare("ddog_trace_exporter_response_get_body", Result, c_void_p)
response_free = declare("ddog_trace_exporter_response_free", None, c_void_p)
error_free = declare("dp_error_free", None, POINTER(ErrorStruct))
reference_error_free = declare("ddog_trace_exporter_error_free", None, c_void_p)


def check(error):
    if error:
        it = error.contents
        raised = Error(it.kind, it.status, it.message.decode())
        error_free(error)
        raise raised


class TraceExporter:
    """Sends payloads. Settings are those of docs/settings.md, by name: TraceExporter(url=..., inputFormat="AUTO")."""

    def __init__(self, **settings):
        config, self._handle = c_void_p(), c_void_p()
        config_new(byref(config))
        try:
            for name, value in settings.items():
                check(config_set(config, Slice.of(name), Slice.of(str(value))))
            error = exporter_new(byref(self._handle), config)
            if error:
                # The reference's error: a code and a text.
                text = ctypes.cast(error + 8, POINTER(c_char_p)).contents.value.decode()
                reference_error_free(error)
                raise Error(2, 0, text)
        finally:
            config_free(config)

    def send(self, payload):
        """Sends one payload; the agent's answer as text. Other threads of Python run meanwhile."""
        response = c_void_p()
        check(exporter_send(self._handle, Slice.of(payload), None, byref(response)))
        try:
            return response_body(response).read().decode()
        finally:
            response_free(response)

    def shutdown(self, nanoseconds=800_000_000):
        """Closes it within this time. The handle stays, so that a late call is an error and nothing worse."""
        check(exporter_close(self._handle, nanoseconds // 1_000_000, None))

    def drop(self):
        handle, self._handle = self._handle, c_void_p()
        exporter_free(handle)
