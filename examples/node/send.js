// Sends a payload from Node by koffi, on a thread of its pool, and prints what the agent answers.
// npm install; DATA_PIPELINE_LIBRARY=... DD_TRACE_AGENT_URL=... node send.js
'use strict';
const koffi = require('koffi');

const lib = koffi.load(process.env.DATA_PIPELINE_LIBRARY || 'libdata-pipeline-ffi.so');
// Handles are numbers of 64 bits, not addresses.
const Chars = koffi.struct('Chars', { ptr: 'const char *', len: 'size_t' });
const Bytes = koffi.struct('Bytes', { ptr: 'const uint8_t *', len: 'size_t' });
const Failure = koffi.struct('Failure', {
  kind: 'uint32_t', status: 'uint32_t', attempts: 'uint32_t', temporary: 'bool', message: 'const char *',
});
const Result = koffi.struct('Result', { ptr: 'void *', len: 'size_t' });
const configNew = lib.func('void ddog_trace_exporter_config_new(_Out_ uint64_t *out)');
const configFree = lib.func('void ddog_trace_exporter_config_free(uint64_t config)');
const configSet = lib.func('Failure *dp_config_set(uint64_t config, Chars name, Chars value)');
const exporterNew = lib.func('void *ddog_trace_exporter_new(_Out_ uint64_t *out, uint64_t config)');
const exporterFree = lib.func('void ddog_trace_exporter_free(uint64_t exporter)');
const exporterSend = lib.func('Failure *dp_exporter_send(uint64_t exporter, Bytes payload, void *options, _Out_ uint64_t *out)');
const responseBody = lib.func('Result ddog_trace_exporter_response_get_body(uint64_t response)');
const responseFree = lib.func('void ddog_trace_exporter_response_free(uint64_t response)');
const errorFree = lib.func('void dp_error_free(Failure *error)');

const chars = (text) => ({ ptr: text, len: Buffer.byteLength(text) });

function check(error) {
  if (!error) return;
  const { kind, message } = koffi.decode(error, Failure);
  errorFree(error);
  throw new Error(`${kind}: ${message}`);
}

// A trace of one span, as a tracer would write it with a msgpack library.
function payload() {
  const text = (s) => Buffer.concat([Buffer.from([0xa0 | s.length]), Buffer.from(s)]);
  const number = (n) => { const b = Buffer.alloc(9, 0xcf); b.writeBigUInt64BE(BigInt(n), 1); return b; };
  const fields = [
    text('service'), text('example-node'), text('name'), text('http.request'), text('resource'), text('GET /cart'),
    text('trace_id'), number(4712), text('span_id'), number(1), text('parent_id'), number(0),
    text('start'), number(BigInt(Date.now()) * 1000000n), text('duration'), number(25000000), text('error'), number(0),
  ];
  return Buffer.concat([Buffer.from([0x91, 0x91, 0x80 | (fields.length / 2)]), ...fields]);
}

const config = [0n];
configNew(config);
const settings = { url: process.env.DD_TRACE_AGENT_URL || 'http://127.0.0.1:8126', language: 'nodejs' };
for (const [name, value] of Object.entries(settings)) check(configSet(config[0], chars(name), chars(value)));
const exporter = [0n];
if (exporterNew(exporter, config[0])) throw new Error('the exporter cannot be made');
configFree(config[0]);

const body = payload();
const response = [0n];
exporterSend.async(exporter[0], { ptr: body, len: body.length }, null, response, (failed, error) => {
  if (failed) throw failed;
  check(error);
  const answer = responseBody(response[0]);
  console.log(Buffer.from(koffi.decode(answer.ptr, 'uint8_t', Number(answer.len))).toString());
  responseFree(response[0]);
  exporterFree(exporter[0]);
});
