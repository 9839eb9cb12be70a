/*
 * libfaketime shifts what programs read from the clock, and the waits of POSIX threads with it, but not those of C11 threads, which
 * librdkafka uses: with a clock 1 h ahead it would wait for an hour. A machine whose clock is wrong is wrong for both.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *shifted) {
  static int (*next)(cnd_t *, mtx_t *, const struct timespec *);
  if (!next) next = (int (*)(cnd_t *, mtx_t *, const struct timespec *))dlsym(RTLD_NEXT, "cnd_timedwait");
  struct timespec program, machine;
  clock_gettime(CLOCK_REALTIME, &program);
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &machine);
  /* The two were read a moment apart, so that only whole seconds are meant. */
  double shift = (double)(program.tv_sec - machine.tv_sec) + (program.tv_nsec - machine.tv_nsec) / 1e9;
  struct timespec real = *shifted;
  real.tv_sec -= (time_t)(shift < 0 ? shift - 0.5 : shift + 0.5);
  return next(condition, mutex, &real);
}
