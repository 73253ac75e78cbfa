// Peers that hang up in the middle of a request: the host is never killed by SIGPIPE, whatever it does with signals.
#define _GNU_SOURCE
#include "agent.h"
#include <data-pipeline.h>
#include <datadog/data-pipeline.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const uint8_t CHUNK[] = {
    0x91, 0x85,                                                              // one span
    0xa7, 's', 'e', 'r', 'v', 'i', 'c', 'e', 0xa4, 's', 'h', 'o', 'p',       //
    0xa4, 'n', 'a', 'm', 'e', 0xa2, 'o', 'p',                                //
    0xa8, 'r', 'e', 's', 'o', 'u', 'r', 'c', 'e', 0xa1, 'r',                 //
    0xa8, 't', 'r', 'a', 'c', 'e', '_', 'i', 'd', 7,                         //
    0xa7, 's', 'p', 'a', 'n', '_', 'i', 'd', 8,
};
enum { CHUNKS = 60000 };  // more than a socket's buffers take

// Reads the beginning of a request, or nothing, and hangs up.
static void *hang_up(void *argument) {
  int door = (int)(long)argument;
  for (unsigned n = 0;; n++) {
    int peer = accept(door, NULL, NULL);
    if (peer < 0) continue;
    char some[64];
    if (n % 2 == 0) CHECK(read(peer, some, sizeof(some)) >= 0);
    if (n % 3 == 0) {
      // At once, so that the other side gets a reset.
      struct linger now = {1, 0};
      setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    close(peer);
  }
  return NULL;
}

static void serve(int door) {
  pthread_t thread;
  CHECK(listen(door, 64) == 0 && pthread_create(&thread, NULL, hang_up, (void *)(long)door) == 0);
  pthread_detach(thread);
}

static void send_to(const char *url, ddog_ByteSlice payload) {
  ddog_TraceExporterConfig *config = NULL;
  ddog_trace_exporter_config_new(&config);
  OK(ddog_trace_exporter_config_set_url(config, chars(url)));
  dp_Error *error = dp_config_set(config, chars("sendBudget"), chars("200 ms"));
  CHECK(error == NULL);
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, config));
  ddog_trace_exporter_config_free(config);
  for (int i = 0; i < 5; i++) {
    ddog_TraceExporterResponse *response = NULL;
    error = dp_exporter_send(exporter, payload, NULL, &response);
    CHECK(error != NULL);
    dp_error_free(error);
    error = dp_exporter_offer(exporter, payload, NULL);
    if (error != NULL) dp_error_free(error);
  }
  error = dp_exporter_close(exporter, 300, NULL);
  if (error != NULL) dp_error_free(error);
  ddog_trace_exporter_free(exporter);
}

int main(void) {
  // As a C program has it, and Rust's own programs have not.
  signal(SIGPIPE, SIG_DFL);
  ddog_ByteSlice payload = {NULL, 5 + CHUNKS * sizeof(CHUNK)};
  uint8_t *bytes = malloc(payload.len);
  memcpy(bytes, (uint8_t[]){0xdd, 0, 0, CHUNKS >> 8, CHUNKS & 255}, 5);
  for (size_t i = 0; i < CHUNKS; i++) memcpy(bytes + 5 + i * sizeof(CHUNK), CHUNK, sizeof(CHUNK));
  payload.ptr = bytes;

  char url[160];
  int door = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  CHECK(bind(door, (struct sockaddr *)&address, size) == 0);
  CHECK(getsockname(door, (struct sockaddr *)&address, &size) == 0);
  serve(door);
  snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(address.sin_port));
  send_to(url, payload);

  char directory[] = "/tmp/sigpipe-XXXXXX";
  CHECK(mkdtemp(directory) != NULL);
  struct sockaddr_un place = {.sun_family = AF_UNIX};
  snprintf(place.sun_path, sizeof(place.sun_path), "%s/s", directory);
  door = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(bind(door, (struct sockaddr *)&place, sizeof(place)) == 0);
  serve(door);
  snprintf(url, sizeof(url), "unix://%s", place.sun_path);
  send_to(url, payload);
  unlink(place.sun_path);
  rmdir(directory);

  free(bytes);
  printf("sigpipe: ok\n");
  return 0;
}
