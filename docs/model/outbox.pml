/* Model of the outbox as implemented in resilience/outbox (Promela, spin 6.5).
 *
 *   spin -a outbox.pml && gcc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m600000
 *
 * One write, two workers that share a store, a lossy network, a platform that may execute late.
 * Compared with the first model (one state SENDING for everything after the first byte) this one
 * has what the code has: the states UNKNOWN and READY, the number of the attempt, epochs of leases,
 * extension of a lease, a sender that knows that nothing left, and answers that are recorded by a
 * worker that lost its lease.
 *
 * Rules, each switched off by a define to see what it is for (see README.md beside this file):
 *   NO_HORIZON   "it did not happen" is believed at once              (rule 1)
 *   NO_FENCE     Expires is fixed when the message is signed, late    (rule 2)
 *   NO_CAS       a conclusion is not compared with the attempt held   (rule 3)
 *   STALE_QUERY  an older "not found" counts once the time has come   (rule 4)
 *   NO_GUARD     conclusions do not check the lease (no double is found: rule 3 suffices)
 * Reachability: SHOW_DONE (the good end), SHOW_RESEND (a justified second attempt), SHOW_LATE (an
 * answer recorded without the lease), SHOW_TAKEOVER (an attempt found by another worker).
 */
#define LEASE 2          /* ticks a lease lasts */
#define LATE  1          /* longest time between acceptance and execution */
#define LAG   1          /* longest time until a query shows an execution */
#ifndef END
#define END   11         /* last tick explored */
#endif
#define NONE  255

#ifdef NO_GUARD
#define HELD true
#else
#define HELD (owner == me && epoch == myEpoch)   /* as Store.Swap: the time does not matter while nobody else came */
#endif
#ifdef STALE_QUERY
#define AFTER now
#else
#define AFTER asked
#endif
#ifdef NO_CAS
#define OPEN(n) (st == SENDING || st == UNKNOWN || st == READY)
#else
#define OPEN(n) ((st == SENDING || st == UNKNOWN) && attempt == n)
#endif

mtype = { READY, SENDING, UNKNOWN, DONE };

byte now = 0;
byte faults = 3;                 /* budget of lost answers, pauses and crashes */

/* durable store */
mtype st = READY;                /* prepared and ready behave alike */
byte  attempt = 0;
byte  sentExp = 0;               /* Expires of the last attempt, written before it is sent */
byte  owner = NONE, leaseEnd = 0, epoch = 0;

/* platform */
byte accepted = 0, acceptedAt = 0;
byte executed = 0, executedAt = 0;

active proctype Clock() {
  do
  :: atomic { now < END && !(accepted && now >= acceptedAt + LATE) -> now++ }
  :: now >= END -> break
  od
}

active proctype Platform() {
  do
  :: atomic { accepted -> accepted = 0; executed++; if :: executed == 1 -> executedAt = now :: else fi; assert(executed <= 1) }
  :: now >= END && !accepted -> break
  od
}

proctype Worker(byte me) {
  byte exp, asked, n, myEpoch; bool visible, answered, unsent;
  do
  :: now >= END || st == DONE ->
#ifdef SHOW_DONE
     assert(st != DONE);
#endif
     break
     /* claim, or extend: never shortened, same epoch while it lasts */
  :: atomic { (owner == NONE || now > leaseEnd || owner == me) && now + LEASE < END && epoch < 6 ->
              if
              :: owner == me && now <= leaseEnd && epoch == myEpoch -> leaseEnd = now + LEASE
              :: else -> owner = me; epoch++; myEpoch = epoch; leaseEnd = now + LEASE
              fi }
     if
     :: atomic { st == READY && HELD && now <= leaseEnd && attempt < 3 ->      /* begin: write ahead */
                 exp = leaseEnd; attempt++; n = attempt; st = SENDING; sentExp = exp
#ifdef SHOW_RESEND
                 ; assert(attempt < 2)
#endif
               }
        /* here the process may be paused for any time: the clock runs on */
#ifdef NO_FENCE
        exp = now + LEASE;                                             /* signed when it wakes */
#endif
        answered = false; unsent = false;
        if
        :: atomic { now <= exp && !accepted -> accepted = 1; acceptedAt = now }   /* the platform takes it */
           if
           :: atomic { !accepted && executed > 0 -> answered = true }              /* answer arrives */
           :: atomic { faults > 0 -> faults-- }                                    /* answer lost, time-out or crash */
           fi
        :: now > exp -> if :: unsent = true :: skip fi     /* refused as expired: told so, or that answer is lost too */
        :: atomic { faults > 0 -> faults-- }               /* request lost or crash */
        :: atomic { faults > 0 -> faults-- }; unsent = true /* nothing left, and the sender knows */
        fi;
        if
        :: answered ->                                     /* what the platform said is true whoever holds the line */
           atomic { if :: OPEN(n) ->
#ifdef SHOW_LATE
                          assert(owner == me && epoch == myEpoch);
#endif
                          st = DONE :: else fi }
        :: !answered && unsent ->
           atomic { if :: OPEN(n) && HELD -> st = READY :: else fi }
        :: !answered && !unsent ->
           if
           :: atomic { if :: OPEN(n) && HELD && st == SENDING -> st = UNKNOWN :: else fi }
           :: skip                                         /* crash before it could be recorded */
           fi
        fi
     :: atomic { st == SENDING && HELD ->                  /* lapse: whoever sent is gone */
#ifdef SHOW_TAKEOVER
                 assert(false);
#endif
                 st = UNKNOWN }
     :: atomic { st == UNKNOWN && HELD ->                  /* ask */
                 n = attempt; visible = (executed > 0 && now >= executedAt + LAG); asked = now }
        if
        :: visible -> atomic { if :: OPEN(n) && HELD -> st = DONE :: else fi }
        :: !visible ->
           atomic {
             if
#ifdef NO_HORIZON
             :: now > sentExp && OPEN(n) && HELD -> st = READY
#else
             :: AFTER > sentExp + LATE + LAG && OPEN(n) && HELD -> st = READY
#endif
             :: else
             fi }
        fi
     :: else -> skip
     fi
  od
}

init { atomic { run Worker(0); run Worker(1) } }
