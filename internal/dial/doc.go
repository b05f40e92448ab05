// Package dial is how this program reaches another HTTP server: the certificate authority, the login and our own certificate in files that are read again
// when they change, the connections that are kept, the rule that only https may leave this machine, and the words for what a person
// can do where it does not work. A login never follows a redirect.
package dial
