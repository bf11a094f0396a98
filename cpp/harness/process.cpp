#include "process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace modelconform {
namespace {

std::optional<int> number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  int number = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, problem] = std::from_chars(text, end, number);
  if (problem != std::errc{} || stop != end) {
    throw std::invalid_argument(std::string(name) + " is no number: " + text);
  }
  return number;
}

// Blocks until the other end of the pipe is closed, which the kernel does when the parent ends,
// however it ends.
void exit_at_end_of(int descriptor) {
  char ignored = 0;
  for (;;) {
    const ssize_t got = ::read(descriptor, &ignored, 1);
    if (got == 0 || (got < 0 && errno != EINTR)) ::_exit(1);
  }
}

}  // namespace

void die_with_parent() {
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  // The parent may have ended before the line above; then no signal will come.
  if (const auto parent = number_in_environment("MODELCONFORM_PARENT");
      parent && ::getppid() != *parent) {
    std::fprintf(stderr, "the process %d that started this worker has ended\n", *parent);
    ::_exit(1);
  }
  // Needed where prctl is missing; where both are there, they agree.
  if (const auto watchdog = number_in_environment("MODELCONFORM_WATCHDOG")) {
    std::thread(exit_at_end_of, *watchdog).detach();
  }
}

void volunteer_for_oom_killer() {
  // There on Linux only, and not in every container: nothing is lost without it.
  if (std::FILE* file = std::fopen("/proc/self/oom_score_adj", "w")) {
    std::fputs("1000", file);
    std::fclose(file);
  }
}

int take_stdout() {
  const int wire = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (wire < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    throw std::runtime_error(std::string("cannot move stdout: ") + std::strerror(errno));
  }
  // What a model prints shall be there when it crashes a moment later. (std::cout writes through
  // this.)
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  return wire;
}

double core_seconds() {
  double seconds = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      seconds += static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    }
  }
  return seconds;
}

}  // namespace modelconform
