//! What other systems publish about their TLS: a policy that is read reads the same again, and names hosts that are names.

use iems_smtp::sts::Policy;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"version: STSv1\r\nmode: enforce\r\nmx: mx1.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n",
    b"version: STSv1\nmode: testing\nmx: *.a\nmax_age: 0\nfuture: x\n",
    b"version:STSv1\nmode:none\nmax_age:31557600",
    b"mode: enforce\nmode: none\nversion: STSv1\nversion: STSv2\nmx: a\nmax_age: 1",
];

pub(crate) fn run(octets: &[u8]) {
    let Ok(policy) = Policy::parse(octets) else { return };
    assert!(policy.max_age <= 31_557_600, "it holds for ever");
    let again = policy.lines().join("\n");
    assert_eq!(Policy::parse(again.as_bytes()).as_ref(), Ok(&policy), "it reads otherwise the second time");
    for host in &policy.hosts {
        let one = host.replacen("*.", "a.", 1);
        assert!(policy.allows(&one) && policy.allows(&one.to_uppercase()), "{host} does not stand for {one}");
        assert!(!policy.allows("") && host.is_ascii());
    }
}
