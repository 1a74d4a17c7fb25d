package peers
import ("testing";"fmt";"github.com/seaworthy/seaworthy/collector/demo")
func TestDump(t *testing.T){
 b:=needKubeBench(t)
 names,_:=demo.Names()
 for _,n:=range names { tape,_:=demo.Tape(n); fmt.Print(n,": "); for _,r:=range b.run(t,tape){ fmt.Print(r.Item,"=",r.Status," ") }; fmt.Println() }
}
