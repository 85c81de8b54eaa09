# Signs with Mail::DKIM, or verifies with a key record given: `sign ALGORITHM METHOD KEYFILE` or `verify RECORD`; the mail comes on standard input.
use strict;
use warnings;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;
use Mail::DKIM::PublicKey;

my ( $what, @rest ) = @ARGV;
my $message = do { local $/; <STDIN> };
if ( $what eq 'sign' ) {
    my ( $algorithm, $method, $key ) = @rest;
    my $signer = Mail::DKIM::Signer->new(
        Algorithm => $algorithm,
        Method    => $method,
        Domain    => 'a.example',
        Selector  => 's',
        KeyFile   => $key,
    );
    $signer->PRINT($message);
    $signer->CLOSE;
    print $signer->signature->as_string, "\r\n", $message;
}
else {
    no warnings 'redefine';
    my $record = $rest[0];
    *Mail::DKIM::PublicKey::fetch_async = sub {
        my ( $class, %given ) = @_;
        return sub {
            my $key = $class->parse($record);
            $key->{Selector} = $given{Selector};
            $key->{Domain}   = $given{Domain};
            return $given{Callbacks}->{Success}->($key);
        };
    };
    my $verifier = Mail::DKIM::Verifier->new();
    $verifier->PRINT($message);
    $verifier->CLOSE;
    print $verifier->result_detail;
}
