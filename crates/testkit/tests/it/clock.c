/* Ten minutes in the past or in the future: the real-time clock as this process
   is told it. The monotonic one, by which it waits, is left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) {
        real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME) {
        now->tv_sec += OFFSET;
    }
    return result;
}
