/* Passes a Windows pipe on to a TCP port of this machine: pipe.exe NAME PORT. For tests under wine. */
#include <winsock2.h>
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned short port;

struct way {
  HANDLE pipe;
  SOCKET socket;
};

/* The pipe is open for overlapped use: else a read that waits would hold up every write. */
static int moved(HANDLE pipe, char *bytes, int count, int write) {
  OVERLAPPED wait = {0};
  DWORD done = 0;
  wait.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
  BOOL ok = write ? WriteFile(pipe, bytes, count, NULL, &wait) : ReadFile(pipe, bytes, count, NULL, &wait);
  if (ok || GetLastError() == ERROR_IO_PENDING) GetOverlappedResult(pipe, &wait, &done, TRUE);
  CloseHandle(wait.hEvent);
  return (int)done;
}

static DWORD WINAPI answers(void *given) {
  struct way *way = given;
  char bytes[65536];
  int count;
  while ((count = recv(way->socket, bytes, sizeof bytes, 0)) > 0)
    if (moved(way->pipe, bytes, count, 1) != count) break;
  FlushFileBuffers(way->pipe);
  DisconnectNamedPipe(way->pipe);
  return 0;
}

static DWORD WINAPI serve(void *pipe) {
  struct way way = {pipe, socket(AF_INET, SOCK_STREAM, 0)};
  struct sockaddr_in to = {0};
  char bytes[65536];
  int count;
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(way.socket, (struct sockaddr *)&to, sizeof to) == 0) {
    HANDLE back = CreateThread(NULL, 0, answers, &way, 0, NULL);
    while ((count = moved(way.pipe, bytes, sizeof bytes, 0)) > 0)
      if (send(way.socket, bytes, count, 0) != count) break;
    shutdown(way.socket, SD_SEND);
    WaitForSingleObject(back, INFINITE);
    CloseHandle(back);
  }
  closesocket(way.socket);
  CloseHandle(way.pipe);
  return 0;
}

int main(int argc, char **argv) {
  WSADATA data;
  char name[256];
  if (argc != 3 || WSAStartup(MAKEWORD(2, 2), &data) != 0) return 2;
  port = (unsigned short)atoi(argv[2]);
  snprintf(name, sizeof name, "\\\\.\\pipe\\%s", argv[1]);
  for (;;) {
    HANDLE pipe = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE | PIPE_WAIT,
                                   PIPE_UNLIMITED_INSTANCES, 65536, 65536, 0, NULL);
    OVERLAPPED wait = {0};
    DWORD done;
    if (pipe == INVALID_HANDLE_VALUE) return 1;
    wait.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
    if (!ConnectNamedPipe(pipe, &wait) && GetLastError() == ERROR_IO_PENDING)
      GetOverlappedResult(pipe, &wait, &done, TRUE);
    CloseHandle(wait.hEvent);
    CloseHandle(CreateThread(NULL, 0, serve, pipe, 0, NULL));
  }
}
