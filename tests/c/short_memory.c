// A process without memory: calls end in errors, and the process lives. When memory is back, all goes on.
#define _GNU_SOURCE
#include "agent.h"
#include <data-pipeline.h>
#include <datadog/data-pipeline.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#define OUT_OF_MEMORY 62

static const uint8_t PAYLOAD[] = {
    0x91, 0x91, 0x85,                                                        // one trace, one span
    0xa7, 's', 'e', 'r', 'v', 'i', 'c', 'e', 0xa4, 's', 'h', 'o', 'p',       //
    0xa4, 'n', 'a', 'm', 'e', 0xa2, 'o', 'p',                                //
    0xa8, 'r', 'e', 's', 'o', 'u', 'r', 'c', 'e', 0xa1, 'r',                 //
    0xa8, 't', 'r', 'a', 'c', 'e', '_', 'i', 'd', 7,                         //
    0xa7, 's', 'p', 'a', 'n', '_', 'i', 'd', 8,
};
static const ddog_ByteSlice BYTES = {PAYLOAD, sizeof(PAYLOAD)};

// The agent lives in a process of its own, which has memory.
static pid_t agent_apart(char *url, size_t room) {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ddog_CharSlice address = agent_start();
    CHECK(write(pipes[1], address.ptr, address.len) == (ssize_t)address.len);
    close(pipes[1]);
    for (;;) pause();
  }
  close(pipes[1]);
  ssize_t n = read(pipes[0], url, room - 1);
  CHECK(n > 0);
  url[n] = 0;
  close(pipes[0]);
  return child;
}

static struct rlimit before;
static void *taken;

static int drains;

// Takes what is there, down to the last bytes, as a list.
static void drain(void) {
  for (size_t size = 1 << 20; drains && size >= 16; size /= 2) {
    void **block;
    while ((block = malloc(size)) != NULL) {
      *block = taken;
      taken = block;
    }
  }
}

static void take_all(void) {
  char line[256] = "";
  FILE *status = fopen("/proc/self/status", "r");
  unsigned long kilobytes = 0;
  while (fgets(line, sizeof(line), status) != NULL) sscanf(line, "VmSize: %lu", &kilobytes);
  fclose(status);
  CHECK(kilobytes > 0 && getrlimit(RLIMIT_AS, &before) == 0);
  struct rlimit little = {(kilobytes << 10) + (8 << 20), before.rlim_max};
  CHECK(setrlimit(RLIMIT_AS, &little) == 0);
  drains = 1;
  drain();
}

static void give_all(void) {
  drains = 0;
  CHECK(setrlimit(RLIMIT_AS, &before) == 0);
  while (taken != NULL) {
    void *next = *(void **)taken;
    free(taken);
    taken = next;
  }
}

static unsigned long fine, refused;

static void any(dp_Error *error) {
  if (error == NULL) {
    fine++;
    return;
  }
  if (error->kind != OUT_OF_MEMORY) fprintf(stderr, "%u: %s\n", error->kind, error->message);
  CHECK(error->kind == OUT_OF_MEMORY && error->message != NULL && error->message[0] != 0);
  refused++;
  dp_error_free(error);
}

static void whole_life(ddog_TraceExporter *exporter) {
  ddog_TraceExporterResponse *response = NULL;
  // What the call before has given back, too.
  drain();
  any(dp_exporter_send(exporter, BYTES, NULL, &response));
  ddog_trace_exporter_response_free(response);
  drain();
  any(dp_exporter_offer(exporter, BYTES, NULL));
  uint64_t ticket = 0;
  drain();
  any(dp_exporter_send_async(exporter, BYTES, NULL, &ticket));
  dp_Flush flush;
  dp_Error *error = dp_exporter_flush(exporter, 1, &flush);
  if (error != NULL) dp_error_free(error);
  while ((ticket = dp_exporter_next_completed(exporter, 0)) != 0) {
    response = NULL;
    error = dp_exporter_take_completed(exporter, ticket, &response);
    if (error != NULL) dp_error_free(error);
    ddog_trace_exporter_response_free(response);
  }
  dp_Account account;
  error = dp_exporter_account(exporter, &account);
  if (error != NULL) dp_error_free(error);
}

int main(void) {
  char url[64];
  pid_t agent = agent_apart(url, sizeof(url));
  ddog_TraceExporter *exporters[2] = {NULL, NULL};
  for (int i = 0; i < 2; i++) {
    ddog_TraceExporterConfig *config = NULL;
    ddog_trace_exporter_config_new(&config);
    OK(ddog_trace_exporter_config_set_url(config, chars(url)));
    if (i == 1) OK(ddog_trace_exporter_config_set_compute_stats(config, true));
    OK(ddog_trace_exporter_new(&exporters[i], config));
    ddog_trace_exporter_config_free(config);
  }
  whole_life(exporters[0]);
  CHECK(fine == 3 && refused == 0);

  for (int round = 0; round < 3; round++) {
    // Threads that have begun get to their work.
    usleep(200000);
    take_all();
    for (int i = 0; i < 20; i++) {
      whole_life(exporters[0]);
      whole_life(exporters[1]);
    }
    if (round == 2) {
      dp_Account account;
      dp_Error *error = dp_exporter_close(exporters[1], 200, &account);
      if (error != NULL) dp_error_free(error);
      ddog_trace_exporter_free(exporters[1]);
    }
    give_all();
    CHECK(refused > 0);
    // All is as it was.
    ddog_TraceExporterResponse *response = NULL;
    dp_Error *error = dp_exporter_send(exporters[0], BYTES, NULL, &response);
    if (error != NULL) fprintf(stderr, "round %d: %u: %s\n", round, error->kind, error->message);
    CHECK(error == NULL);
    ddog_trace_exporter_response_free(response);
  }
  dp_Account account;
  dp_Error *error = dp_exporter_close(exporters[0], 5000, &account);
  CHECK(error == NULL);
  CHECK(account.received.traces == account.sent.traces + account.dropped.traces + account.queued.traces);
  ddog_trace_exporter_free(exporters[0]);
  kill(agent, SIGKILL);
  waitpid(agent, NULL, 0);
  printf("short_memory: ok, %lu calls fine, %lu without memory\n", fine, refused);
  return 0;
}
