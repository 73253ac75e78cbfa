#define _GNU_SOURCE
#include "agent.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char url[64];
static int delay_ms, status = 200;
// Seen by both processes if it runs apart.
static unsigned long *traces;
static char *last_body, *last_head, *last_tunnel;
static const char *info;
static size_t last_length;

static const char ANSWER[] = "{\"rate_by_service\":{\"service:,env:\":0.25}}";

static int answer(int peer, int code, const char *body) {
  char head[256];
  int n = snprintf(head, sizeof(head),
                   "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", code, strlen(body));
  return send(peer, head, (size_t)n, MSG_NOSIGNAL) == n &&
         send(peer, body, strlen(body), MSG_NOSIGNAL) == (ssize_t)strlen(body);
}

static size_t header(const char *head, const char *name) {
  const char *at = strcasestr(head, name);
  return at == NULL ? 0 : (size_t)strtoull(at + strlen(name), NULL, 10);
}

static void *serve(void *argument) {
  int peer = (int)(long)argument;
  size_t room = 1 << 20, have = 0;
  char *buffer = malloc(room + 1);
  for (;;) {
    char *end;
    buffer[have] = 0;
    while ((end = strstr(buffer, "\r\n\r\n")) == NULL) {
      ssize_t n = read(peer, buffer + have, room - have);
      if (n <= 0) goto over;
      have += (size_t)n;
      buffer[have] = 0;
    }
    size_t head = (size_t)(end - buffer) + 4;
    *end = 0;
    size_t length = header(buffer, "\r\ncontent-length: "), count = header(buffer, "\r\nx-datadog-trace-count: ");
    if (head + length > room) {
      room = head + length;
      buffer = realloc(buffer, room + 1);
    }
    while (have < head + length) {
      ssize_t n = read(peer, buffer + have, room - have);
      if (n <= 0) goto over;
      have += (size_t)n;
    }
    // A payload without traces tries the endpoint of an agent without /info. No test asks for it.
    int is_probe = length <= 3 && strcasestr(buffer, "\r\nx-datadog-trace-count: ") == NULL;
    if (strncmp(buffer, "CONNECT ", 8) == 0) {
      // A proxy too: whoever is asked for, the way leads here.
      static const char OPEN[] = "HTTP/1.1 200 OK\r\n\r\n";
      pthread_mutex_lock(&lock);
      free(last_tunnel);
      last_tunnel = strdup(buffer);
      pthread_mutex_unlock(&lock);
      if (send(peer, OPEN, sizeof(OPEN) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(OPEN) - 1) goto over;
    } else if (strncmp(buffer, "GET", 3) == 0) {
      pthread_mutex_lock(&lock);
      const char *said = info;
      pthread_mutex_unlock(&lock);
      if (!answer(peer, said != NULL ? 200 : 404, said != NULL ? said : "{}")) goto over;
    } else if (is_probe) {
      if (!answer(peer, 200, ANSWER)) goto over;
    } else {
      pthread_mutex_lock(&lock);
      int wait = delay_ms, code = status;
      if (code == 200) __atomic_fetch_add(traces, count, __ATOMIC_SEQ_CST);
      free(last_body);
      free(last_head);
      last_body = malloc(length + 1);
      memcpy(last_body, buffer + head, length);
      last_length = length;
      last_head = strdup(buffer);
      pthread_mutex_unlock(&lock);
      if (wait > 0) usleep((useconds_t)wait * 1000);
      if (!answer(peer, code, ANSWER)) goto over;
    }
    have -= head + length;
    memmove(buffer, buffer + head + length, have);
  }
over:
  close(peer);
  free(buffer);
  return NULL;
}

static void *listen_on(void *argument) {
  int door = (int)(long)argument;
  for (;;) {
    int peer = accept(door, NULL, NULL);
    if (peer < 0) continue;
    int on = 1;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, serve, (void *)(long)peer) == 0);
    pthread_detach(thread);
  }
  return NULL;
}

// Its door, and its URL.
static int door(void) {
  int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  CHECK(bind(door, (struct sockaddr *)&address, size) == 0 && listen(door, 512) == 0);
  CHECK(getsockname(door, (struct sockaddr *)&address, &size) == 0);
  snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(address.sin_port));
  traces = mmap(NULL, sizeof(*traces), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(traces != MAP_FAILED);
  return door;
}

static void open_door(int door) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, listen_on, (void *)(long)door) == 0);
  pthread_detach(thread);
}

ddog_CharSlice agent_start(void) {
  open_door(door());
  return chars(url);
}

ddog_CharSlice agent_start_apart(void) {
  int at = door(), life[2];
  CHECK(pipe(life) == 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    close(life[1]);
    open_door(at);
    // Until nobody is there who could write.
    char byte;
    while (read(life[0], &byte, 1) > 0) {
    }
    _exit(0);
  }
  close(at);
  close(life[0]);
  return chars(url);
}

void agent_behave(int delay, int code) {
  pthread_mutex_lock(&lock);
  delay_ms = delay;
  status = code;
  pthread_mutex_unlock(&lock);
}

void agent_info(const char *json) {
  pthread_mutex_lock(&lock);
  info = json;
  pthread_mutex_unlock(&lock);
}

int agent_tunneled(const char *text) {
  pthread_mutex_lock(&lock);
  int did = last_tunnel != NULL && strcasestr(last_tunnel, text) != NULL;
  pthread_mutex_unlock(&lock);
  return did;
}

unsigned long agent_traces(void) {
  return __atomic_load_n(traces, __ATOMIC_SEQ_CST);
}

char *agent_body(size_t *length) {
  pthread_mutex_lock(&lock);
  char *copy = malloc(last_length + 1);
  if (last_length > 0) memcpy(copy, last_body, last_length);
  *length = last_length;
  pthread_mutex_unlock(&lock);
  return copy;
}

int agent_saw(const char *text) {
  pthread_mutex_lock(&lock);
  int saw = last_body != NULL && (memmem(last_body, last_length, text, strlen(text)) != NULL ||
                                  strcasestr(last_head, text) != NULL);
  pthread_mutex_unlock(&lock);
  return saw;
}

ddog_CharSlice chars(const char *text) {
  ddog_CharSlice slice = {text, strlen(text)};
  return slice;
}
