/* A disk whose sync takes as long as an SD card's: preload this and set SLOW_SYNC_US. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_card(void)
{
    const char *us = getenv("SLOW_SYNC_US");
    if (us)
        usleep((useconds_t)atoi(us));
}

int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for_card();
    return real(fd);
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_card();
    return real(fd);
}
