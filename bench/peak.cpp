// Runs a program and appends its peak of resident memory, in KiB, to a file. A small program must
// start it: the kernel counts what the process held before it became that program.
//   peak FILE PROGRAM ARGUMENT…
#include <cstdio>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const pid_t child = fork();
  if (child == 0) {
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  int status = 0;
  rusage used{};
  if (child < 0 || wait4(child, &status, 0, &used) != child) return 1;
  std::FILE* file = std::fopen(argv[1], "a");
  if (file == nullptr || std::fprintf(file, "%ld\n", used.ru_maxrss) < 0) return 1;
  if (std::fclose(file) != 0) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
