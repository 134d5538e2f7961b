/* A miss served on the faulting thread (UFFD_FEATURE_SIGBUS, pread with O_DIRECT, UFFDIO_COPY), without any eviction or
 * accounting: the most that Paged could win by it.  usage: sigbus FILE 0|1 THREADS STEPS   (0: mmap + MADV_RANDOM)
 * gcc -O2 -pthread sigbus.c -o sigbus; the file at least 4 GiB, on a real disk. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static double now(){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec+t.tv_nsec*1e-9;}
size_t N; int fd, ufd; char*base; long steps; int T;
static __thread char buf[4096] __attribute__((aligned(4096)));
static void h(int s, siginfo_t*i, void*c){
  int e=errno; size_t a=(size_t)i->si_addr & ~4095ul; size_t o=a-(size_t)base;
  if(o>=N) abort();
  if(pread(fd,buf,4096,o)!=4096) abort();
  struct uffdio_copy k={.dst=a,.src=(size_t)buf,.len=4096,.mode=0};
  if(ioctl(ufd,UFFDIO_COPY,&k)&&errno!=EEXIST) abort();
  errno=e;
}
static uint64_t rng(uint64_t*x){*x^=*x<<13;*x^=*x>>7;*x^=*x<<17;return *x;}
static void*rd(void*a){uint64_t x=88172645463325252ull+(long)a*7919, s=0; buf[0]=0; for(int i=0;i<100;i++)rng(&x);
  for(long i=0;i<steps/T;i++){size_t o=(rng(&x)%(N/4096))*4096; for(int k=0;k<4096;k+=8)s+=*(volatile uint64_t*)(base+o+k);} return (void*)s;}
int main(int c,char**v){int mode=atoi(v[2]);T=atoi(v[3]);steps=atol(v[4]);
 fd=open(v[1],O_RDONLY|(mode?O_DIRECT:0));struct stat st;fstat(fd,&st);N=st.st_size&~4095ul;
 int f2=open(v[1],O_RDONLY);posix_fadvise(f2,0,0,POSIX_FADV_DONTNEED);
 if(mode==0){base=mmap(0,N,PROT_READ,MAP_SHARED,fd,0);madvise(base,N,MADV_RANDOM);}
 else{ufd=syscall(SYS_userfaultfd,O_CLOEXEC|O_NONBLOCK);struct uffdio_api api={.api=UFFD_API,.features=UFFD_FEATURE_SIGBUS};if(ioctl(ufd,UFFDIO_API,&api)){perror("api");return 1;}
  base=mmap(0,N,PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE,-1,0);struct uffdio_register r={.range={(size_t)base,N},.mode=UFFDIO_REGISTER_MODE_MISSING};if(ioctl(ufd,UFFDIO_REGISTER,&r)){perror("reg");return 1;}
  struct sigaction sa={.sa_sigaction=h,.sa_flags=SA_SIGINFO|SA_NODEFER};sigaction(SIGBUS,&sa,0);}
 pthread_t t[64];double a=now();for(long i=0;i<T;i++)pthread_create(t+i,0,rd,(void*)(i+1));for(int i=0;i<T;i++)pthread_join(t[i],0);double d=now()-a;
 printf("%s T=%d %.3f s %.2f us/miss\n",mode?"sigbus":"mmap+RANDOM",T,d,d*1e6/steps);}
