# Sends a payload from Ruby by Fiddle, which comes with it, and prints what the agent answers.
# DATA_PIPELINE_LIBRARY=... DD_TRACE_AGENT_URL=... ruby send.rb
#
# Fiddle passes no struct by value. On x86_64 and arm64 Linux and macOS a slice of 16 bytes by value is the same as its two
# words one after another, so that is how it is declared; a slice that comes back is not, so the answer is read as a text.
require "fiddle"

module DataPipeline
  LIB = Fiddle.dlopen(ENV.fetch("DATA_PIPELINE_LIBRARY", "libdata-pipeline-ffi.so"))
  WORD, POINTER, NOTHING = Fiddle::TYPE_SIZE_T, Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOID
  SLICE = [POINTER, WORD].freeze

  def self.function(name, arguments, result)
    Fiddle::Function.new(LIB[name], arguments, result)
  end

  CONFIG_NEW = function("ddog_trace_exporter_config_new", [POINTER], NOTHING)
  CONFIG_FREE = function("ddog_trace_exporter_config_free", [WORD], NOTHING)
  CONFIG_SET = function("dp_config_set", [WORD, *SLICE, *SLICE], POINTER)
  EXPORTER_NEW = function("ddog_trace_exporter_new", [POINTER, WORD], POINTER)
  EXPORTER_FREE = function("ddog_trace_exporter_free", [WORD], NOTHING)
  SEND = function("ddog_trace_exporter_send", [WORD, *SLICE, POINTER], POINTER)
  RESPONSE_READ = function("dp_response_read", [WORD, POINTER], POINTER)
  RESPONSE_FREE = function("ddog_trace_exporter_response_free", [WORD], NOTHING)
  ERROR_FREE = function("ddog_trace_exporter_error_free", [POINTER], NOTHING)

  # Calls with room for a handle, and gives the handle.
  def self.handle
    room = Fiddle::Pointer.malloc(8, Fiddle::RUBY_FREE)
    room[0, 8] = [0].pack("Q")
    yield room
    room[0, 8].unpack1("Q")
  end

  # An error of the reference's functions: a code, and a text at byte 8.
  def self.check(error)
    return if error.null?
    text = Fiddle::Pointer.new(error[8, 8].unpack1("Q")).to_s
    ERROR_FREE.call(error)
    raise text
  end

  class TraceExporter
    def initialize(settings)
      config = DataPipeline.handle { |room| CONFIG_NEW.call(room) }
      settings.each do |name, value|
        error = CONFIG_SET.call(config, name.to_s, name.to_s.bytesize, value, value.bytesize)
        raise "the setting #{name} cannot be made" unless error.null?
      end
      @handle = DataPipeline.handle { |room| DataPipeline.check(EXPORTER_NEW.call(room, config)) }
      CONFIG_FREE.call(config)
    end

    # Sends a payload; status, traces and spans of the answer.
    def send_payload(bytes)
      response = DataPipeline.handle { |room| DataPipeline.check(SEND.call(@handle, bytes, bytes.bytesize, room)) }
      # A dp_Response; of its 136 bytes these are the first ones.
      room = Fiddle::Pointer.malloc(136, Fiddle::RUBY_FREE)
      RESPONSE_READ.call(response, room)
      RESPONSE_FREE.call(response)
      status, _attempts, traces, spans = room[0, 24].unpack("LLQQ")
      { status: status, traces: traces, spans: spans }
    end

    def close
      EXPORTER_FREE.call(@handle)
    end
  end
end

def text(string)
  [0xa0 | string.bytesize].pack("C") + string.b
end

def number(value)
  [0xcf, value].pack("CQ>")
end

fields = { "service" => text("example-ruby"), "name" => text("http.request"), "resource" => text("GET /cart"),
           "trace_id" => number(4714), "span_id" => number(1), "parent_id" => number(0),
           "start" => number(Time.now.to_i * 1_000_000_000), "duration" => number(25_000_000), "error" => number(0) }
payload = [0x91, 0x91, 0x80 | fields.size].pack("C*") + fields.map { |key, value| text(key) + value }.join

exporter = DataPipeline::TraceExporter.new(url: ENV.fetch("DD_TRACE_AGENT_URL", "http://127.0.0.1:8126"), language: "ruby")
answer = exporter.send_payload(payload)
puts answer
exporter.close
exit 1 unless answer[:status] == 200 && answer[:spans] == 1
